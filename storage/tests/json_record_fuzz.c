/* Any line as a record in JSON: an error, or a record that is the same when it is written and read
 * again. */
#include "base/assert.h"
#include "base/fuzz.h"
#include "storage/json_record.h"
#include "storage/tests/records_support.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_record a, b;
    struct store_error err = {""};
    char *line, *first = NULL, *second = NULL;

    if (json_to_record(&a, (struct str){(const char *)data, size}, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return 0;
    }
    line = json_from_record(&a.record);
    ASSERT(line != NULL && json_to_record(&b, str_from(line), &err) == 0);
    describe(&first, &a.record);
    describe(&second, &b.record);
    ASSERT(strcmp(first, second) == 0);
    free(first);
    free(second);
    free(line);
    json_record_fini(&a);
    json_record_fini(&b);
    return 0;
}

/* Each input is a game: operations on a tree, checked after each against a list of filters. */
#include "base/fuzz.h"
#include "topic_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ASSERT(topic_tree_play(data, size) == 0);
    return 0;
}

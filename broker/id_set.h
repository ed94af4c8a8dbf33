/* id_set: packet identifiers of QoS 2 messages received and not yet released.  [v5 4.3.3]
 * [v3 4.3.3] Empty, it holds no memory. All operations O(1). */
#ifndef BROKER_ID_SET_H
#define BROKER_ID_SET_H
#include <stdbool.h>
#include <stdint.h>

struct mem;

struct id_set {
    uint16_t *slots; /* 0: free */
    uint32_t capacity;
    uint32_t count;
};

void id_set_init(struct id_set *s);
void id_set_clear(struct id_set *s, struct mem *mem);

bool id_set_has(const struct id_set *s, uint16_t id);

/* Add an identifier (not 0); one that is there already stays. False when out of memory. */
bool id_set_add(struct id_set *s, struct mem *mem, uint16_t id);

/* Take an identifier out; false when it was not there. */
bool id_set_remove(struct id_set *s, struct mem *mem, uint16_t id);
#endif

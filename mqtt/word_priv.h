/* word: eight bytes looked at in one go. Which byte of the word is which does not matter here. */
#ifndef MQTT_WORD_PRIV_H
#define MQTT_WORD_PRIV_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MQTT__ONES  UINT64_C(0x0101010101010101)
#define MQTT__HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t mqtt__word(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return w;
}

/* Is every byte in min..0x7F (min 0 or 1)? A byte below min borrows into its high bit. */
static inline bool mqtt__word_plain(uint64_t word, uint64_t min)
{
    return (((word - min * MQTT__ONES) | word) & MQTT__HIGHS) == 0;
}

/* Is one of them a '#' or '+'? Those are 0x23 and 0x2B: without bit 3 both are 0x23, 0 after the
 * xor, and borrow. So does a byte from 0x81 on: of a word that is not plain the answer may be a
 * false yes. */
static inline bool mqtt__word_wild(uint64_t word)
{
    uint64_t zero = (word & ~(MQTT__ONES * 0x08)) ^ (MQTT__ONES * '#');

    return ((zero - MQTT__ONES) & MQTT__HIGHS) != 0;
}
#endif

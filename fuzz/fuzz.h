/* fuzz.h: what the targets share. A target is one file with one function, LLVMFuzzerTestOneInput(),
 * which libFuzzer calls with inputs of its own making and replay.c with those of corpus/. It aborts
 * when a property doesn't hold, and does nothing that its input doesn't decide. */
#ifndef SALUT_FUZZ_FUZZ_H
#define SALUT_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* An input that is a line saying how, then the bytes that are the matter: so people can read one
 * and write one. Without a newline it is all matter. */
struct script {
    const uint8_t *how;
    size_t how_size;
    const uint8_t *bytes;
    size_t size;
};

struct script fuzz_script(const uint8_t *input, size_t size);

/* The line says how in pairs of a letter and a byte, its number: the next one whose letter is among
 * `letters`. false at the line's end. */
struct step {
    char letter;
    unsigned number;
};
bool fuzz_next_step(struct script *script, const char *letters, struct step *step);

/* A property, and the sentence for when it doesn't hold: then the process aborts. */
void fuzz_require(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The word has failed as words do: this errno is among `allowed` (which ends with 0), and the
 * sentence is one, short enough, that says why, in UTF-8 without a control character. */
void fuzz_require_failure(const char *word, int number, const int *allowed);

/* How many of these bytes are whole characters of UTF-8, by another way than the library's: by
 * decoding each to its number. They end before the first that isn't. */
size_t fuzz_utf8_size(const uint8_t *bytes, size_t size);

/* Whether it is UTF-8 in which nothing is a control character, C1's included. */
bool fuzz_is_harmless(const char *text, size_t size);

#endif

/* The failure of a fiber: errno and a sentence. Every floor reports through error_set(); the
 * public words salut_error(), salut_failed(), salut_check(), salut_clear_error() are here too. */
#ifndef SALUT_BASE_ERROR_H
#define SALUT_BASE_ERROR_H

#include <stdbool.h>
#include <string.h>

struct error {
    int number;     /* errno of the last failure */
    bool failed;    /* since the beginning, or since salut_clear_error() */
    unsigned nth;   /* of this thread's failures, to know it again */
    char *sentence; /* SENTENCE_BYTES, allocated at the first failure; NULL before */
};

/* The failure that error_set() writes on this thread; NULL is the thread's own. The scheduler
 * sets it at each switch. */
extern _Thread_local struct error *error_current;

/* Ends a simulated program for salut_check(), which then says nothing; NULL in a real one. */
extern _Thread_local void (*error_exit)(int status);

/* e takes over what the thread's own failure holds, and its place. */
void error_adopt(struct error *e);

void error_free(struct error *e);

/* Records a failure: the sentence is what was being done, then ": ", then error_reason(number).
 * Sets errno to number. Always -1. */
int error_set(int number, const char *doing, ...) __attribute__((format(printf, 2, 3)));

/* The same, for a reason that the caller knows better than errno does: the whole sentence. */
int error_say(int number, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

/* A word was called on NULL: keeps the first failure, or, when there is none, EBADF and the
 * sentence "word: the socket is NULL". Always -1. */
int error_keep(const char *word);

/* For "%.*s": a word's name alone, "recv" of "recv from", where no address follows. */
static inline int error_word_size(const char *word)
{
    return (int)strcspn(word, " ");
}

/* What errno means, as a beginner would want it said, with what to try where that is known. */
const char *error_reason(int number);

#endif

/* The sentence, errno and the three words that ask for them. */
#include "support/fibers.h"

#include "base/error.h"
#include "base/limits.h"

#include <salut.h>

#include <errno.h>
#include <pthread.h>

static int forget(void **state)
{
    (void)state;
    salut_clear_error();
    errno = 0;
    return 0;
}

static void nothing_has_failed_at_first(void **state)
{
    (void)state;
    assert_string_equal(salut_error(), "");
    assert_int_equal(salut_failed(), 0);
}

static void a_failure_is_minus_1_errno_and_a_sentence(void **state)
{
    (void)state;
    assert_int_equal(error_set(ECONNREFUSED, "connect to %s:%d", "10.0.0.1", 63000), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(salut_failed(), 1);
    assert_string_equal(salut_error(), "connect to 10.0.0.1:63000: connection refused (nothing is "
                                       "listening there: is the server running?)");
}

static void a_whole_sentence_is_left_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(error_say(EINVAL, "bind: %d is not a port", 70000), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(salut_error(), "bind: 70000 is not a port");
}

static void the_sentence_is_of_the_last_failure(void **state)
{
    (void)state;
    error_say(EINVAL, "a first and rather long sentence");
    error_say(EPIPE, "the last");
    assert_string_equal(salut_error(), "the last");
}

static void a_sentence_is_cut_at_its_limit_and_not_beyond(void **state)
{
    char long_name[3 * SENTENCE_BYTES];

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    error_set(ENOENT, "open %s", long_name);
    assert_int_equal(strlen(salut_error()), SENTENCE_BYTES - 1);
    long_name[SENTENCE_BYTES - 10] = '\0';
    error_set(ENOENT, "open %s", long_name);
    assert_int_equal(strlen(salut_error()), SENTENCE_BYTES - 1);
}

static void a_long_sentence_keeps_its_beginning_and_its_reason(void **state)
{
    char long_name[3 * SENTENCE_BYTES];

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    error_set(ENOENT, "open %s now", long_name);
    assert_memory_equal(salut_error(), "open xxx", 8);
    assert_non_null(strstr(salut_error(), "xxx now: there is no such file"));
    error_say(EINVAL, "address %s: there is no port", long_name);
    assert_memory_equal(salut_error(), "address xxx", 11);
    assert_non_null(strstr(salut_error(), "xxx ... xxx"));
    assert_non_null(strstr(salut_error(), "xxx: there is no port"));
    assert_int_equal(strlen(salut_error()), SENTENCE_BYTES - 1);
}

static void what_could_steer_a_terminal_is_shown_as_question_marks(void **state)
{
    (void)state;
    error_say(EINVAL, "%s",
              "\033[2J \t \x7f \xc2\x9b"
              "2J \x9b \xe2\x80\xae \xc3\xa9 \xc3");
    assert_string_equal(salut_error(), "?[2J ? ? ??2J ? ??? \xc3\xa9 ?");
}

static void a_null_socket_keeps_the_first_failure(void **state)
{
    (void)state;
    error_say(EADDRINUSE, "bind: the first failure");
    errno = EINTR;
    assert_int_equal(error_keep("listen"), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_string_equal(salut_error(), "bind: the first failure");
    assert_int_equal(salut_failed(), 1);
}

static void a_null_socket_before_any_failure_says_so(void **state)
{
    (void)state;
    assert_int_equal(error_keep("listen"), -1);
    assert_int_equal(errno, EBADF);
    assert_string_equal(salut_error(), "listen: the socket is NULL");
}

static void ten_words_on_a_socket_that_failed_tell_the_first_failure(void **state)
{
    salut_sock *s = salut_socket((salut_kind)99);
    char first[SENTENCE_BYTES], byte;

    (void)state;
    assert_null(s);
    assert_int_equal(errno, EINVAL);
    strcpy(first, salut_error());
    for (int i = 0; i < 10; i++) {
        errno = 0;
        switch (i % 5) {
        case 0:
            assert_int_equal(salut_bind(s, "localhost", 0), -1);
            break;
        case 1:
            assert_int_equal(salut_listen(s, 1), -1);
            break;
        case 2:
            assert_null(salut_accept(s, NULL));
            break;
        case 3:
            assert_int_equal(salut_send(s, "x", 1), -1);
            break;
        case 4:
            assert_int_equal(salut_recv(s, &byte, 1), -1);
            break;
        }
        assert_int_equal(errno, EINVAL);
        assert_string_equal(salut_error(), first);
    }
}

static void what_is_cleared_is_forgotten(void **state)
{
    (void)state;
    error_say(EPIPE, "something");
    salut_clear_error();
    assert_int_equal(salut_failed(), 0);
    assert_string_equal(salut_error(), "");
    error_keep("send");
    assert_int_equal(errno, EBADF);
    assert_string_equal(salut_error(), "send: the socket is NULL");
}

static void every_number_has_a_reason(void **state)
{
    (void)state;
    for (int number = 1; number < 200; number++)
        assert_true(strlen(error_reason(number)) > 0);
    assert_string_equal(error_reason(12345), "unknown error");
    assert_string_equal(error_reason(-1), "unknown error");
}

static void the_check_passes_when_nothing_has_failed(void **state)
{
    (void)state;
    salut_check();
}

static void check_after_a_failure(void)
{
    error_say(EPIPE, "send: the peer is gone");
    salut_check();
}

static void the_check_prints_the_sentence_and_exits_with_1(void **state)
{
    struct ending ending = end_of_child(check_after_a_failure);
    char expected[256];

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 1);
    snprintf(expected, sizeof expected, "%s: send: the peer is gone\n",
             program_invocation_short_name);
    assert_string_equal(ending.said, expected);
}

struct seen {
    int failed_before, result, number, failed;
    char sentence[SENTENCE_BYTES];
};

static void *listen_on_null(void *argument)
{
    struct seen *seen = argument;

    seen->failed_before = salut_failed();
    seen->result = salut_listen(NULL, 1);
    seen->number = errno;
    seen->failed = salut_failed();
    strcpy(seen->sentence, salut_error());
    return NULL;
}

static void a_threads_failure_before_its_first_socket_is_its_own(void **state)
{
    struct seen seen = {0};
    pthread_t thread;

    (void)state;
    error_say(EPIPE, "mine");
    assert_int_equal(pthread_create(&thread, NULL, listen_on_null, &seen), 0);
    pthread_join(thread, NULL);
    assert_int_equal(seen.failed_before, 0);
    assert_int_equal(seen.result, -1);
    assert_int_equal(seen.number, EBADF);
    assert_int_equal(seen.failed, 1);
    assert_string_equal(seen.sentence, "listen: the socket is NULL");
    assert_string_equal(salut_error(), "mine");
}

static void *fail_then_open(void *argument)
{
    struct seen *seen = argument;
    salut_sock *s;

    salut_listen(NULL, 1);
    s = salut_socket(SALUT_TCP); /* the thread's first word that needs a scheduler */
    seen->failed = salut_failed();
    strcpy(seen->sentence, salut_error());
    salut_close(s);
    return NULL;
}

static void a_failure_from_before_the_first_socket_is_kept(void **state)
{
    struct seen seen = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, fail_then_open, &seen), 0);
    pthread_join(thread, NULL);
    assert_int_equal(seen.failed, 1);
    assert_string_equal(seen.sentence, "listen: the socket is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_has_failed_at_first, forget),
        cmocka_unit_test_setup(a_failure_is_minus_1_errno_and_a_sentence, forget),
        cmocka_unit_test_setup(a_whole_sentence_is_left_as_it_is, forget),
        cmocka_unit_test_setup(the_sentence_is_of_the_last_failure, forget),
        cmocka_unit_test_setup(a_sentence_is_cut_at_its_limit_and_not_beyond, forget),
        cmocka_unit_test_setup(a_long_sentence_keeps_its_beginning_and_its_reason, forget),
        cmocka_unit_test_setup(what_could_steer_a_terminal_is_shown_as_question_marks, forget),
        cmocka_unit_test_setup(a_null_socket_keeps_the_first_failure, forget),
        cmocka_unit_test_setup(a_null_socket_before_any_failure_says_so, forget),
        cmocka_unit_test_setup(ten_words_on_a_socket_that_failed_tell_the_first_failure, forget),
        cmocka_unit_test_setup(what_is_cleared_is_forgotten, forget),
        cmocka_unit_test_setup(every_number_has_a_reason, forget),
        cmocka_unit_test_setup(the_check_passes_when_nothing_has_failed, forget),
        cmocka_unit_test_setup(the_check_prints_the_sentence_and_exits_with_1, forget),
        cmocka_unit_test_setup(a_threads_failure_before_its_first_socket_is_its_own, forget),
        cmocka_unit_test_setup(a_failure_from_before_the_first_socket_is_kept, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

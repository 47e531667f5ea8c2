/* sanitizers.h: which of them this build has. */
#ifndef TESTS_SUPPORT_SANITIZERS_H
#define TESTS_SUPPORT_SANITIZERS_H

#if defined(__has_feature)
#define TESTS_HAVE_FEATURE(x) __has_feature(x)
#else
#define TESTS_HAVE_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || TESTS_HAVE_FEATURE(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || TESTS_HAVE_FEATURE(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#endif

/* test_address.c: addresses as numbers, as text, and as the strings that name them. */
#include "socket/address.h"
#include "support/sockets.h"

/* ---- Strings ------------------------------------------------------------------------------- */

static void a_string_is_taken_apart(void **state)
{
    static const struct {
        const char *text;
        salut_kind kind;
        const char *host, *path;
        int port;
    } cases[] = {
        {"localhost:63000", SALUT_TCP, "localhost", NULL, 63000},
        {"127.0.0.1:0", SALUT_TCP, "127.0.0.1", NULL, 0},
        {"[::1]:65535", SALUT_TCP, "::1", NULL, 65535},
        {"[fe80::1%eth0]:1", SALUT_TCP, "fe80::1%eth0", NULL, 1},
        {"[]:7", SALUT_TCP, "", NULL, 7},
        {":00080", SALUT_TCP, "", NULL, 80},
        {"udp:localhost:53", SALUT_UDP, "localhost", NULL, 53},
        {"udp::53", SALUT_UDP, "", NULL, 53},
        {"udp:[::]:53", SALUT_UDP, "::", NULL, 53},
        {"unix:/run/x:y", SALUT_UNIX, "", "/run/x:y", 0},
        {"unix:@name", SALUT_UNIX, "", "@name", 0},
        {"unix:relative", SALUT_UNIX, "", "relative", 0},
        {"[unix]:80", SALUT_TCP, "unix", NULL, 80},
        {"unix", 0, NULL, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_parts parts;
        if (!cases[i].host) {
            assert_fails(address_parse("word", cases[i].text, &parts), EINVAL, cases[i].text);
            continue;
        }
        assert_works(address_parse("word", cases[i].text, &parts));
        assert_int_equal(parts.kind, cases[i].kind);
        assert_string_equal(parts.host, cases[i].host);
        assert_int_equal(parts.port, cases[i].port);
        if (cases[i].path)
            assert_string_equal(parts.path, cases[i].path);
        else
            assert_null(parts.path);
    }
}

static void a_host_in_a_string_has_at_most_253_bytes(void **state)
{
    char text[300];
    struct address_parts parts;

    (void)state;
    memset(text, 'h', sizeof text);
    strcpy(text + 253, ":80");
    assert_works(address_parse("word", text, &parts));
    assert_int_equal(strlen(parts.host), 253);
    memset(text, 'h', sizeof text);
    strcpy(text + 254, ":80");
    assert_fails(address_parse("word", text, &parts), EINVAL, "254 bytes");
}

static void a_host_holds_no_bracket(void **state)
{
    struct address_parts parts;

    (void)state;
    assert_fails(address_parse("word", "[[::1]:80", &parts), EINVAL, "the host holds a bracket");
    assert_fails(address_parse("word", "a]b:80", &parts), EINVAL, "the host holds a bracket");
}

static void what_was_asked_for_is_told_as_it_is_written(void **state)
{
    static const char *const asked[] = {"localhost:80", "[::1]:80", ":80", "[unix]:80", "[udp]:80"};
    struct address_parts parts;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        assert_works(address_parse("word", asked[i], &parts));
        address_goal(parts.host, parts.port, text, sizeof text);
        assert_string_equal(text, asked[i]);
    }
}

/* ---- Numbers and text ---------------------------------------------------------------------- */

static void a_numeric_host_and_its_text_are_the_same(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "255.255.255.255", "::", "::1",
                                        "2001:db8::ff00:42:8329"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char text[128], expected[128];
        salut_addr a;
        assert_true(address_from_numeric(&a, hosts[i]));
        assert_string_equal(salut_addr_host(&a), hosts[i]);
        address_set_port(&a, 4711);
        assert_int_equal(salut_addr_port(&a), 4711);
        snprintf(expected, sizeof expected, strchr(hosts[i], ':') ? "[%s]:4711" : "%s:4711",
                 hosts[i]);
        assert_string_equal(address_text(&a, text, sizeof text), expected);
    }
}

static void a_zone_is_part_of_the_text(void **state)
{
    salut_addr a;

    (void)state;
    assert_true(address_from_numeric(&a, "fe80::1%lo"));
    assert_string_equal(salut_addr_host(&a), "fe80::1%lo");
    assert_true(address_from_numeric(&a, "fe80::1%4000000000")); /* no interface has that number */
    assert_string_equal(salut_addr_host(&a), "fe80::1%4000000000");
    assert_true(address_from_numeric(&a, "::1%1")); /* names are for addresses of one link */
    assert_string_equal(salut_addr_host(&a), "::1%1");
}

static void a_name_is_not_numeric(void **state)
{
    static const char *const names[] = {"localhost",
                                        "",
                                        "1.2.3.4.5",
                                        "256.1.1.1",
                                        "::g",
                                        "127.0.0.1 x",
                                        "fe80::1%no-such-interface"};
    salut_addr a;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(address_from_numeric(&a, names[i]));
}

static void ipv4_in_ipv6_and_back_is_the_same(void **state)
{
    salut_addr four, a;

    (void)state;
    assert_true(address_from_numeric(&four, "192.0.2.7"));
    address_set_port(&four, 4711);
    a = four;
    address_map(&a);
    assert_int_equal(address_family(&a), AF_INET6);
    assert_string_equal(salut_addr_host(&a), "::ffff:192.0.2.7");
    address_unmap(&a);
    assert_memory_equal(&a, &four, sizeof a);
    address_unmap(&a);
    assert_memory_equal(&a, &four, sizeof a);
    assert_true(address_from_numeric(&a, "::1"));
    address_map(&a);
    address_unmap(&a);
    assert_string_equal(salut_addr_host(&a), "::1");
}

static void paths_and_abstract_names_keep_their_text(void **state)
{
    static const char *const paths[] = {"/run/door", "door", "@door"};
    salut_addr a;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_works(address_from_path(&a, paths[i]));
        assert_string_equal(salut_addr_host(&a), paths[i]);
        assert_int_equal(salut_addr_port(&a), 0);
    }
    assert_int_equal(address_from_path(&a, NULL), -EINVAL);
    assert_int_equal(address_from_path(&a, ""), -EINVAL);
    assert_int_equal(address_from_path(&a, "@"), -EINVAL);
}

static void an_abstract_name_of_any_bytes_is_shown_as_text(void **state)
{
    salut_addr a = {.raw.path.sun_family = AF_UNIX};
    char text[128];

    (void)state;
    memcpy(a.raw.path.sun_path, "\0a\0\033b", 5);
    a.raw_size = offsetof(struct sockaddr_un, sun_path) + 5;
    assert_string_equal(address_text(&a, text, sizeof text), "unix:@a@?b");
}

static void none_is_empty(void **state)
{
    salut_addr none = {0}, nameless = {.raw.path.sun_family = AF_UNIX, .raw_size = 2};

    (void)state;
    assert_string_equal(salut_addr_host(&none), "");
    assert_int_equal(salut_addr_port(&none), 0);
    assert_string_equal(salut_addr_host(&nameless), "");
}

static void a_short_room_for_text_is_not_overrun(void **state)
{
    salut_addr a;
    char text[8];

    (void)state;
    assert_true(address_from_numeric(&a, "2001:db8::ff00:42:8329"));
    for (size_t room = 1; room <= sizeof text; room++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(strlen(address_text(&a, text, room)), room - 1);
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_taken_apart),
        cmocka_unit_test(a_host_in_a_string_has_at_most_253_bytes),
        cmocka_unit_test(a_host_holds_no_bracket),
        cmocka_unit_test(what_was_asked_for_is_told_as_it_is_written),
        cmocka_unit_test(a_numeric_host_and_its_text_are_the_same),
        cmocka_unit_test(a_zone_is_part_of_the_text),
        cmocka_unit_test(a_name_is_not_numeric),
        cmocka_unit_test(ipv4_in_ipv6_and_back_is_the_same),
        cmocka_unit_test(paths_and_abstract_names_keep_their_text),
        cmocka_unit_test(an_abstract_name_of_any_bytes_is_shown_as_text),
        cmocka_unit_test(none_is_empty),
        cmocka_unit_test(a_short_room_for_text_is_not_overrun),
    };

    return RUN_SOCKET_TESTS(tests);
}

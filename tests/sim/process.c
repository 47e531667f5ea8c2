#include "sim/process.h"
#include "sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX = 16 };

struct text {
    char *bytes;
    size_t size;
};

static struct process {
    struct text output, complaints;
    const char *input;
} processes[HOSTS_MAX];

/* Something that a process holds, and how it is let go. */
struct held {
    struct held *next;
    void *thing;
    void (*let_go)(void *thing);
};

static struct held *all_held;

static struct sim_host *here(void)
{
    return sim_host_of(scheduler_of_thread->engine);
}

/* ---- What is printed ----------------------------------------------------------------------- */

static void append(struct text *t, const char *bytes, size_t size)
{
    t->bytes = realloc(t->bytes, t->size + size + 1);
    assert(t->bytes);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = '\0';
}

static ssize_t print_output(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    if (!run_of_thread)
        return write(STDOUT_FILENO, bytes, size);
    append(&processes[here()->number].output, bytes, size);
    return (ssize_t)size;
}

static ssize_t print_complaint(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    if (!run_of_thread)
        return write(STDERR_FILENO, bytes, size);
    append(&processes[here()->number].complaints, bytes, size);
    return (ssize_t)size;
}

void process_begin(void)
{
    stdout = fopencookie(NULL, "w", (cookie_io_functions_t){.write = print_output});
    stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = print_complaint});
    assert(stdout && stderr);
    setvbuf(stdout, NULL, _IONBF, 0); /* another host may print next */
    setvbuf(stderr, NULL, _IONBF, 0);
}

const char *process_output(salut_sim_host *host)
{
    const char *bytes = processes[host->system->number].output.bytes;

    return bytes ? bytes : "";
}

const char *process_complaints(salut_sim_host *host)
{
    const char *bytes = processes[host->system->number].complaints.bytes;

    return bytes ? bytes : "";
}

static void forget_printed(struct process *p)
{
    free(p->output.bytes);
    free(p->complaints.bytes);
    p->output = p->complaints = (struct text){0};
}

void process_forget_printed(salut_sim_host *host)
{
    forget_printed(&processes[host->system->number]);
}

void process_give_input(salut_sim_host *host, const char *text)
{
    processes[host->system->number].input = text;
}

/* ---- What is held -------------------------------------------------------------------------- */

static void *hold(void *thing, void (*let_go)(void *thing))
{
    struct held *h = malloc(sizeof *h);

    assert(h && thing);
    *h = (struct held){.next = all_held, .thing = thing, .let_go = let_go};
    all_held = h;
    return thing;
}

static void let_go(struct held **at)
{
    struct held *h = *at;

    *at = h->next;
    h->let_go(h->thing);
    free(h);
}

/* false: the program got it from elsewhere. */
static bool let_go_of(const void *thing)
{
    struct held **at = &all_held;

    while (*at && (*at)->thing != thing)
        at = &(*at)->next;
    if (!*at)
        return false;
    let_go(at);
    return true;
}

static void free_channel(void *c)
{
    salut_channel_free(c);
}

void *process_malloc(size_t size)
{
    return hold(malloc(size), free);
}

void *process_calloc(size_t count, size_t size)
{
    return hold(calloc(count, size), free);
}

void process_free(void *memory)
{
    if (memory && !let_go_of(memory))
        free(memory);
}

salut_channel *process_channel_create(size_t capacity, size_t item_size)
{
    return hold(salut_channel_create(capacity, item_size), free_channel);
}

void process_channel_free(salut_channel *c)
{
    if (c && !let_go_of(c))
        salut_channel_free(c);
}

void process_end_all(void)
{
    while (all_held)
        let_go(&all_held);
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        forget_printed(&processes[i]);
        processes[i].input = NULL;
    }
}

/* ---- Descriptors --------------------------------------------------------------------------- */

ssize_t process_write(int fd, const void *bytes, size_t size)
{
    struct sim_socket *s = sim_socket_find(here(), fd);
    int64_t sent;

    if (!s)
        return write(fd, bytes, size);
    sent = sim_stream_send(s, bytes, size);
    if (sent >= 0)
        return (ssize_t)sent;
    errno = (int)-sent;
    return -1;
}

ssize_t process_read(int fd, void *bytes, size_t size)
{
    struct process *p = &processes[here()->number];
    size_t left = p->input ? strlen(p->input) : 0;

    assert(fd == STDIN_FILENO);
    if (size > left)
        size = left;
    if (!size)
        return 0;
    if (size > 1) /* as a pipe gives it */
        size = 1 + (size_t)salut_sim_random(size);
    memcpy(bytes, p->input, size);
    p->input += size;
    return (ssize_t)size;
}

/* process.h: what a program on a simulated host has beside the network: its standard output and
 * error, its standard input, and memory that goes with it. Programs that were written for the real
 * world are built so that they call process_malloc() for malloc() and so on (simulated.cmake). */
#ifndef TESTS_SIM_PROCESS_H
#define TESTS_SIM_PROCESS_H

#include <salut/sim.h>

#include <stddef.h>
#include <sys/types.h>

/* From now on what is printed on a host is kept, and only what is printed elsewhere is seen. */
void process_begin(void);

/* What programs have printed on this host so far. */
const char *process_output(salut_sim_host *host);
const char *process_complaints(salut_sim_host *host);

void process_forget_printed(salut_sim_host *host);

/* What read() gives to a program on this host: one piece a call. It is not copied. */
void process_give_input(salut_sim_host *host, const char *text);

/* All processes of the run that is over are gone, with what they printed and held. */
void process_end_all(void);

/* ---- What the programs call instead -------------------------------------------------------- */

void *process_malloc(size_t size);
void *process_calloc(size_t count, size_t size);
void process_free(void *memory);
salut_channel *process_channel_create(size_t capacity, size_t item_size);
void process_channel_free(salut_channel *c);

/* Also on a simulated descriptor. */
ssize_t process_write(int fd, const void *bytes, size_t size);
ssize_t process_read(int fd, void *bytes, size_t size);

#endif

/* scene.h: what the scenes of programs.c share. A scene is played by the host "main": it starts
 * programs on other hosts, does to them what is to be done, and expects what must be so. */
#ifndef TESTS_SIM_SCENE_H
#define TESTS_SIM_SCENE_H

#include "sim/process.h"

#include <salut/sim.h>

#include <stdbool.h>
#include <stddef.h>

struct scene {
    const char *name;
    void (*play)(void);
    bool calm; /* streams are cut where they were sent */
};

/* The end of a table of scenes has no name. */
extern const struct scene greeting_scenes[], crowd_scenes[], command_scenes[], alone_scenes[];

/* Ends everything with this sentence, what the programs have printed and how to see it again,
 * unless it holds. */
void expect(bool holds, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

/* Whether all of the text is as the extended regular expression says. */
bool is_like(const char *text, const char *pattern);

/* Whether the sentence gives one of these errnos' reasons; the last one is 0. */
bool gives_reason(const char *sentence, const int *numbers);

/* Whether `begin` is how `whole` begins. */
bool begins(const char *whole, const char *begin, size_t size);

/* Sleeps until the program there has printed this much. */
void wait_until_printed(salut_sim_host *host, const char *part);

/* Waits so long for the end of the program there. Result: whether it has ended. */
bool ends_within(salut_sim_host *host, double seconds);

/* ---- Chance -------------------------------------------------------------------------------- */

double drawn_seconds(double max);

/* An honest network, but not a good one: all links and hosts are drawn, slow, jittery, with small
 * buffers and small receives. What it loses of streams is sent again. */
void draw_an_honest_network(salut_sim_host *const *hosts, size_t count);

/* Sleeps a while now and then, and cuts, stops, kills, crashes, breaks off. In the end all links
 * are whole, all hosts up and going; who was killed stays so. */
void let_trouble_come(salut_sim_host *server, salut_sim_host *const *clients, size_t count);

#endif

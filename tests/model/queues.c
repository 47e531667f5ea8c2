/* queues.c: channels: each item comes once, those of one sender in their order, and no more are
 * inside than there is room for. */
#include "model/model.h"

#include <errno.h>
#include <string.h>

/* An item begins with its sender and its number there. */
struct item {
    uint32_t sender, number;
};

static struct call begin(struct player *p, enum word word)
{
    return call_begin(p, word, word == CHANNEL_TRY_SEND ? 0 : -1);
}

static void fill(unsigned char *bytes, const struct queue *q, struct item head)
{
    memcpy(bytes, &head, sizeof head);
    for (int i = sizeof head; i < q->item_bytes; i++)
        bytes[i] = (unsigned char)(head.sender * 17 + head.number * 5 + (uint32_t)i);
}

/* ---- Sending ------------------------------------------------------------------------------- */

/* false: it is closed. */
static bool send_item(struct player *p, bool try)
{
    struct queue *q = p->about;
    unsigned char *bytes = player_scratch(p, (size_t)q->item_bytes);
    struct call c = begin(p, try ? CHANNEL_TRY_SEND : CHANNEL_SEND);
    unsigned inside = q->begun - q->received; /* at most */

    fill(bytes, q, (struct item){(uint32_t)p->nth, q->sent_of[p->nth]});
    q->begun++;
    if (!call_end(&c, (try ? salut_channel_try_send : salut_channel_send)(q->channel, bytes) < 0)) {
        q->sent_of[p->nth]++;
        q->sent++;
        /* those that receivers have taken, but not come back with */
        if (q->sent - q->received > (unsigned)q->capacity + q->receiving)
            wrong("capacity", "queue %d: %u items are in it, and it holds %d", q->number,
                  q->sent - q->received, q->capacity);
        return true;
    }
    q->begun--;
    if (errno == EAGAIN && inside < (unsigned)q->capacity)
        wrong("capacity", "queue %d: it is said to be full with %u of %d items", q->number, inside,
              q->capacity);
    return errno != EPIPE && !p->cancelled;
}

void send_queue(struct player *p)
{
    struct queue *q = p->about;
    const struct list *list = &q->part->lists[0];
    bool open = true;

    for (int i = 0; i < list->count && open; i++) {
        switch (list->steps[i].word) {
        case 'z':
            player_sleep(p, within(list->steps[i].number, 1000) / 1000.0);
            break;
        case 'y':
            player_yield(p);
            break;
        default:
            open = send_item(p, list->steps[i].word == 't');
        }
    }
    if (--q->senders_left == 0) {
        struct call c = begin(p, CHANNEL_CLOSE);
        call_end(&c, salut_channel_close(q->channel) < 0);
    }
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void check_item(struct queue *q, const unsigned char *bytes, struct item *last)
{
    unsigned char expected[1024];
    struct item head;

    memcpy(&head, bytes, sizeof head);
    if (head.sender >= 8 || head.number >= STEPS_MAX || head.number > q->sent_of[head.sender])
        wrong("an item nobody sent", "queue %d: %u of sender %u", q->number, head.number,
              head.sender);
    fill(expected, q, head);
    if (memcmp(expected, bytes, (size_t)q->item_bytes))
        wrong("an item's bytes", "queue %d: %u of sender %u", q->number, head.number, head.sender);
    if (q->seen[head.sender][head.number]++)
        wrong("a repeated item", "queue %d: %u of sender %u", q->number, head.number, head.sender);
    if (last[head.sender].number > head.number)
        wrong("items in disorder", "queue %d: %u of sender %u after %u", q->number, head.number,
              head.sender, last[head.sender].number - 1);
    last[head.sender].number = head.number + 1;
}

/* false: it is closed and empty. */
static bool receive_item(struct player *p, struct item *last)
{
    struct queue *q = p->about;
    unsigned char *bytes = player_scratch(p, (size_t)q->item_bytes);
    struct call c = begin(p, CHANNEL_RECV);
    int got;

    q->receiving++;
    got = salut_channel_recv(q->channel, bytes);
    q->receiving--;
    if (call_end(&c, got < 0))
        return !p->cancelled;
    if (!got) {
        if (!q->disturbed && q->senders_left)
            wrong("an end nobody sent", "queue %d: it isn't closed", q->number);
        return false;
    }
    q->received++;
    check_item(q, bytes, last);
    return true;
}

void receive_queue(struct player *p)
{
    struct queue *q = p->about;
    const struct list *list = &q->part->lists[1];
    struct item last[8] = {{0, 0}};
    bool open = true;

    for (int i = 0; open; i++) {
        char word = list->count ? list->steps[i % list->count].word : 'r';
        if (word == 'z')
            player_sleep(p, within(list->steps[i % list->count].number, 1000) / 1000.0);
        else if (word == 'y')
            player_yield(p);
        if (word == 'r' || i % list->count == 0)
            open = receive_item(p, last);
    }
    if (p->cancelled) { /* who sends to nobody would wait for ever */
        struct call c = begin(p, CHANNEL_CLOSE);
        call_end(&c, salut_channel_close(q->channel) < 0);
    }
}

void check_queues(void)
{
    for (int i = 0; i < the->queue_count; i++) {
        const struct queue *q = &the->queues[i];
        if (!q->disturbed && q->sent != q->received)
            wrong("lost items", "queue %d: %u of %u items came", q->number, q->received, q->sent);
    }
}

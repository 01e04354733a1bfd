/* Prints where the compiler puts what native code and TypeScript share, one "name value" a line; for tests. */
#include <stddef.h>
#include <stdio.h>

#include "slots.h"
#include "stub.h"

#define SHOW(name, value) printf("%s %llu\n", name, (unsigned long long)(value))
#define CONTROL(field) SHOW("control." #field, offsetof(struct control, field))
#define SLOT(field) SHOW("slot." #field, offsetof(struct slot, field))
#define BLOCK(field) SHOW("block." #field, offsetof(struct block, field))

int main(void)
{
	SHOW("control.size", sizeof(struct control));
	CONTROL(command_head);
	CONTROL(event_tail);
	CONTROL(event_head);
	CONTROL(tracer_sleeping);
	CONTROL(js_sleeping);
	CONTROL(js_cpu);
	CONTROL(commands);
	CONTROL(events);
	CONTROL(slots);
	CONTROL(blocks);
	SHOW("slot.size", sizeof(struct slot));
	SLOT(stop);
	SLOT(signal);
	SLOT(code);
	SLOT(nr);
	SLOT(address);
	SLOT(interrupt);
	SLOT(pid);
	SLOT(tid);
	SHOW("block.total", sizeof(struct block));
	BLOCK(kind);
	BLOCK(slot);
	BLOCK(new_slot);
	BLOCK(flags);
	BLOCK(result);
	BLOCK(size);
	BLOCK(address);
	BLOCK(order_count);
	BLOCK(fd_count);
	BLOCK(fds);
	BLOCK(done);
	BLOCK(quiet);
	BLOCK(orders);
	BLOCK(data);
	SHOW("count.slots", SLOT_COUNT);
	SHOW("count.blocks", BLOCK_COUNT);
	SHOW("count.ring", RING_SIZE);
	SHOW("count.orders", ORDER_MAX);
	SHOW("count.fds", FD_MAX);
	SHOW("count.data", DATA_SIZE);
	return 0;
}

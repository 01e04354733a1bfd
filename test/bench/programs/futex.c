/* Two threads hand a word to each other: two futex wakes, two waits. */
#include "measure.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

static int turn;

static void pass(int to)
{
	__atomic_store_n(&turn, to, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await(int mine)
{
	int now;
	while ((now = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void *other(void *argument)
{
	for (;;) {
		await(1);
		pass(0);
	}
	return argument;
}

static void operation(void)
{
	pass(1);
	await(0);
}

int main(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		fail("thread");
	measure(operation);
	return 0;
}

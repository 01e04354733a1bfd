/* Generated calls about what processes speak through: pipes, sockets, and what waits for several of them. */
#include "calls.h"
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

void channels(void)
{
	int pair[2] = {-1, -1};
	int number = 0;
	switch (below(8)) {
	case 0 ... 2:
		CALL(pipe2, P(below(20) ? (char *)pair : place()), below(6) ? O_NONBLOCK : below(8) ? 0 : bits(O_NONBLOCK | O_CLOEXEC | O_TRUNC));
		break;
	case 3:
		CALL(fcntl, fd(), F_SETPIPE_SZ, below(3) ? below(70000) : edge());
		break;
	case 4:
		if (CALL(ioctl, fd(), FIONREAD, P(&number)) == 0)
			note(" {%d}", number);
		break;
	case 5:
		number = (int)below(2);
		CALL(ioctl, fd(), FIONBIO, P(below(10) ? (char *)&number : place()));
		break;
	case 6:
		WAIT(write, fd(), P(ARENA + below(1000)), below(2) ? below(5000) : 65536 - below(3));
		break;
	case 7: {
		long length = WAIT(read, fd(), P(ARENA), below(70000));
		if (length > 0 && length % 128 != 0)
			note_bytes(ARENA, length);
		break;
	}
	}
}

static socklen_t address(struct sockaddr_un *to)
{
	static const char *const sockets[] = {"s", "s", "d/s", "a", "no/s", ""};
	*to = (struct sockaddr_un){.sun_family = (sa_family_t)(below(30) ? AF_UNIX : below(50))};
	strcpy(to->sun_path, ONE_OF(sockets));
	return (socklen_t)(to->sun_path[0] == 0 ? 2 : below(20) ? offsetof(struct sockaddr_un, sun_path) + strlen(to->sun_path) + 1 : below(200));
}

/* sendmsg or recvmsg, with descriptors beside the bytes. */
static void message(void)
{
	struct sockaddr_un to;
	union {
		struct cmsghdr header;
		char room[128];
	} control;
	struct iovec vector[2] = {{place(), below(3000)}, {place(), below(300)}};
	struct msghdr header = {below(5) ? NULL : &to, address(&to), vector, below(30) ? below(3) : edge(), &control, sizeof control, 0};
	if (below(2)) {
		int count = (int)(1 + below(3));
		control.header = (struct cmsghdr){below(20) ? CMSG_LEN(count * sizeof(int)) : size(), SOL_SOCKET, below(10) ? SCM_RIGHTS : (int)below(5)};
		for (int i = 0; i < count; i++)
			((int *)CMSG_DATA(&control.header))[i] = fd();
		header.msg_controllen = below(2) ? 0 : CMSG_SPACE(count * sizeof(int));
		WAIT(sendmsg, fd(), P(below(30) ? (char *)&header : place()), MSG_NOSIGNAL | bits(MSG_DONTWAIT | MSG_EOR | MSG_MORE));
		return;
	}
	header.msg_name = NULL;
	header.msg_controllen = below(2) ? sizeof control : below(40);
	if (WAIT(recvmsg, fd(), P(&header), bits(MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_CMSG_CLOEXEC | MSG_WAITALL)) >= 0)
		note(" {%x %ld}", header.msg_flags, (long)header.msg_controllen);
}

void sockets(void)
{
	struct sockaddr_un to;
	int pair[2] = {-1, -1}, number = 0;
	socklen_t length = sizeof number;
	static const int types[] = {SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	int type = ONE_OF(types) | (below(6) ? SOCK_NONBLOCK : 0);
	switch (below(18)) {
	case 0 ... 1:
		CALL(socket, below(30) ? AF_UNIX : 50 + below(20), below(20) ? type : (int)below(20), below(20) ? 0 : below(9));
		break;
	case 2 ... 4:
		CALL(socketpair, AF_UNIX, type, 0, P(below(20) ? (char *)pair : place()));
		break;
	case 5 ... 6:
		length = address(&to);
		CALL(bind, fd(), P(&to), length);
		break;
	case 7:
		CALL(listen, fd(), below(3) ? below(9) : edge());
		break;
	case 8 ... 9:
		length = address(&to);
		WAIT(connect, fd(), P(&to), length);
		break;
	case 10:
		WAIT(accept4, fd(), 0, 0, below(10) ? SOCK_NONBLOCK : bits(0xffffffff));
		break;
	case 11 ... 12:
		message();
		break;
	case 13:
		length = address(&to);
		WAIT(sendto, fd(), P(place()), size(), MSG_NOSIGNAL | bits(MSG_DONTWAIT), P(below(3) ? NULL : &to), length);
		break;
	case 14: {
		char *at = ARENA + below(100);
		long got = WAIT(recvfrom, fd(), P(at), below(9000), bits(MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC), 0, 0);
		if (got > 0 && got < 9000)
			note_bytes(at, got);
		break;
	}
	case 15:
		CALL(shutdown, fd(), below(10) ? below(3) : edge());
		break;
	case 16: {
		static const int options[] = {SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL, SO_PASSCRED, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST};
		if (CALL(getsockopt, fd(), SOL_SOCKET, ONE_OF(options), P(&number), P(below(10) ? (char *)&length : place())) == 0)
			note(" {%d %u}", number, length);
		break;
	}
	case 17: {
		socklen_t room = (socklen_t)(below(4) ? sizeof to : below(40));
		memset(&to, 0, sizeof to);
		if ((below(2) ? CALL(getsockname, fd(), P(&to), P(&room)) : CALL(getpeername, fd(), P(&to), P(&room))) == 0)
			note(" {%u %d %s}", room, to.sun_family, to.sun_path);
		break;
	}
	}
}

void events(void)
{
	struct epoll_event event = {.events = (uint32_t)(below(3) ? bits(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET | EPOLLONESHOT) : EPOLLIN), .data.u64 = below(9)};
	uint64_t value = below(4) ? below(5) : edge();
	sigset_t set;
	switch (below(16)) {
	case 0 ... 1:
		CALL(epoll_create1, below(10) ? 0 : bits(0xffffffff));
		break;
	case 2 ... 4:
		CALL(epoll_ctl, fd(), 1 + below(below(10) ? 3 : 9), fd(), P(below(20) ? (char *)&event : place()));
		break;
	case 5 ... 6: {
		struct epoll_event ready[8];
		long count = WAIT(epoll_wait, fd(), P(ready), below(20) ? 1 + below(8) : edge(), below(2));
		uint64_t sum = 0;
		for (long i = 0; i < count; i++)
			sum += ready[i].events * 31 + ready[i].data.u64;
		/* more may be ready than there is room for: which is the kernel's choice */
		if (count > 0 && count < 3)
			note(" {%lx}", sum);
		break;
	}
	case 7: {
		struct pollfd polled[4];
		for (int i = 0; i < 4; i++)
			polled[i] = (struct pollfd){fd(), (short)(below(4) ? POLLIN | POLLOUT : bits(0xffff)), 0};
		if (WAIT(poll, P(below(20) ? (char *)polled : place()), below(20) ? below(5) : 4096, below(3)) >= 0)
			note(" {%x %x %x %x}", polled[0].revents, polled[1].revents, polled[2].revents, polled[3].revents);
		break;
	}
	case 8: {
		fd_set read, write;
		FD_ZERO(&read);
		FD_ZERO(&write);
		for (int i = 0; i < 3; i++)
			FD_SET(below(20), &read), FD_SET(below(20), &write);
		struct timeval timeout = {0, below(20) ? (long)below(1000) : (long)edge()};
		if (WAIT(select, below(20) ? below(21) : edge(), P(&read), P(below(4) ? &write : NULL), P(0), P(&timeout)) >= 0)
			note(" {%lx %lx}", read.fds_bits[0], write.fds_bits[0]);
		break;
	}
	case 9:
		CALL(eventfd2, below(5), below(10) ? EFD_NONBLOCK | bits(EFD_SEMAPHORE | EFD_NONBLOCK) : bits(0xffffffff));
		break;
	case 10:
		WAIT(write, fd(), P(&value), below(10) ? 8 : below(9));
		break;
	case 11:
		if (WAIT(read, fd(), P(&value), below(10) ? 8 : below(9)) == 8)
			note(" {%lx}", value);
		break;
	case 12:
		CALL(timerfd_create, below(10) ? below(2) : below(15), below(10) ? bits(TFD_NONBLOCK) : bits(0xffffffff));
		break;
	case 13: {
		struct itimerspec when = {{0, 0}, {(time_t)(below(2) ? below(2) * 1000 : 0), below(2) ? 0 : below(20) ? 1 : (long)edge()}};
		CALL(timerfd_settime, fd(), below(4) ? 0 : below(9), P(below(20) ? (char *)&when : place()), 0);
		break;
	}
	case 14:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGRTMIN);
		CALL(signalfd4, below(3) ? -1 : fd(), P(&set), below(20) ? 8 : below(20), below(10) ? bits(SFD_NONBLOCK) : bits(0xffffffff));
		break;
	case 15:
		if (below(2))
			CALL(inotify_init1, below(10) ? IN_NONBLOCK : bits(0xffffffff));
		else if (below(3))
			CALL(inotify_add_watch, fd(), P(path()), IN_CREATE | IN_DELETE | IN_MODIFY | (below(3) ? 0 : bits(IN_ONLYDIR | IN_MASK_ADD | IN_ONESHOT)));
		else
			CALL(inotify_rm_watch, fd(), below(4));
		break;
	}
}

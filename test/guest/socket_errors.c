/* UNIX sockets of each type: what is refused and how; messages whole, cut and empty; descriptors that do not fit; shutdown and close. */
#include "guest.h"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wrestrict"
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/uio.h>
#include <sys/ioctl.h>
#include <poll.h>
#include <stddef.h>
#include <linux/sockios.h>
static int type;
static void pairs(int sv[2]) { NEED(socketpair(AF_UNIX, type, 0, sv)); }
int main(void) {
  scratch();
  signal(SIGPIPE, SIG_IGN);
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  static const char *const titles[] = {"stream", "dgram", "seqpacket"};
  for (int i = 0; i < 3; i++) {
    type = types[i];
    say("-- %s", titles[i]);
    int sv[2]; char b[64]; pairs(sv);
    /* oob */
    TRY(send(sv[0], "a", 1, MSG_OOB));
    TRY(recv(sv[1], b, 1, MSG_OOB | MSG_DONTWAIT));
    TRY(recv(sv[1], b, 1, MSG_OOB | MSG_DONTWAIT));
    TRY(send(sv[0], "hello", 5, 0));
    TRY(send(sv[0], "world", 5, MSG_MORE));
    int q; TRY(ioctl(sv[1], FIONREAD, &q)); INT(q);
    TRY(ioctl(sv[0], SIOCOUTQ, &q)); IS(q > 0);
    TRY(ioctl(sv[1], SIOCATMARK, &q));
    TRY(recv(sv[1], b, 2, MSG_PEEK));
    TRY(recv(sv[1], b, 2, MSG_PEEK | MSG_TRUNC));
    TRY(recv(sv[1], b, 64, MSG_WAITALL | MSG_DONTWAIT));
    TRY(recv(sv[1], b, 64, MSG_DONTWAIT));
    TRY(recv(sv[1], b, 64, MSG_DONTWAIT));
    TRY(send(sv[0], "", 0, 0));
    TRY(recv(sv[1], b, 64, MSG_DONTWAIT));
    TRY(recv(sv[1], b, 0, MSG_DONTWAIT));
    TRY(sendto(sv[0], "x", 1, 0, (void *)b, 2));
    struct sockaddr_un sun = {AF_UNIX, "nobody"};
    TRY(sendto(sv[0], "x", 1, 0, (void *)&sun, sizeof sun));
    TRY(sendto(sv[0], "x", 1, 0, (void *)&sun, 500));
    TRY(sendto(sv[0], "x", 1, 0, (void *)1, sizeof sun));
    TRY(recv(sv[1], b, 64, MSG_DONTWAIT));
    TRY(recv(sv[1], b, 64, MSG_ERRQUEUE | MSG_DONTWAIT));
    TRY(recv(sv[1], b, 64, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    TRY(send(sv[0], "x", 1, MSG_DONTROUTE));
    TRY(send(sv[0], "x", 1, MSG_CONFIRM));
    TRY(send(sv[0], "x", 1, MSG_EOR));
    TRY(send(sv[0], "x", 1, MSG_FASTOPEN));
    TRY(send(sv[0], "x", 1, 0x40000000));
    TRY(send(sv[0], (void *)1, 1, 0));
    TRY(recv(sv[1], (void *)1, 1, MSG_DONTWAIT));
    /* msg flags */
    while (recv(sv[1], b, 64, MSG_DONTWAIT) > 0);
    send(sv[0], "0123456789", 10, 0);
    struct iovec iov = {b, 4};
    char control[256];
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control, .msg_name = &sun, .msg_namelen = sizeof sun};
    TRY(recvmsg(sv[1], &m, MSG_DONTWAIT));
    say("flags %#x namelen %d control %zu", m.msg_flags, m.msg_namelen, m.msg_controllen);
    m.msg_flags = 0; m.msg_namelen = -1;
    TRY(recvmsg(sv[1], &m, MSG_DONTWAIT));
    m.msg_namelen = 0; m.msg_iovlen = 2000;
    TRY(recvmsg(sv[1], &m, MSG_DONTWAIT));
    TRY(sendmsg(sv[1], &m, MSG_DONTWAIT));
    m.msg_iovlen = 1; m.msg_controllen = 1ul << 33;
    TRY(sendmsg(sv[1], &m, MSG_DONTWAIT));
    m.msg_controllen = 8;
    TRY(sendmsg(sv[1], &m, MSG_DONTWAIT));
    /* control messages that aren't right */
    struct cmsghdr *c = (void *)control;
    memset(control, 0, sizeof control);
    m = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(4)};
    static const struct { int len, level, type, fd; } wrong[] = {
      {CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS, -1}, {CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS, 999}, {CMSG_LEN(3), SOL_SOCKET, SCM_RIGHTS, 0},
      {CMSG_LEN(0), SOL_SOCKET, SCM_RIGHTS, 0}, {8, SOL_SOCKET, SCM_RIGHTS, 0}, {CMSG_LEN(4), SOL_SOCKET, 77, 0}, {CMSG_LEN(4), 77, 1, 0},
      {CMSG_LEN(4), SOL_SOCKET, SCM_CREDENTIALS, 0}, {500, SOL_SOCKET, SCM_RIGHTS, 0}, {CMSG_LEN(4), 0, 8, 0}};
    for (unsigned k = 0; k < sizeof wrong / sizeof *wrong; k++) {
      c->cmsg_len = wrong[k].len, c->cmsg_level = wrong[k].level, c->cmsg_type = wrong[k].type, *(int *)CMSG_DATA(c) = wrong[k].fd;
      ssize_t r = sendmsg(sv[0], &m, MSG_DONTWAIT);
      say("control %u: %s", k, r < 0 ? errname(errno) : "sent");
    }
    while (recv(sv[1], b, 64, MSG_DONTWAIT) > 0);
    /* rights truncated */
    for (size_t room = 0; room <= 40; room += 4) {
      int fds[3] = {0, 1, 2};
      iov = (struct iovec){"r", 1};
      m = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(12)};
      c->cmsg_len = CMSG_LEN(12), c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, memcpy(CMSG_DATA(c), fds, 12);
      sendmsg(sv[0], &m, 0);
      iov = (struct iovec){b, 4};
      memset(control, 0, sizeof control);
      m.msg_controllen = room, m.msg_flags = 0;
      ssize_t r = recvmsg(sv[1], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      say("room %zu: %zd flags %#x controllen %zu len %zu", room, r, m.msg_flags, m.msg_controllen, room >= 16 ? c->cmsg_len : 0);
      for (int *fd = (int *)CMSG_DATA(c); room >= 16 && (char *)fd < control + c->cmsg_len; fd++) close(*fd);
    }
    /* shutdown */
    TRY(shutdown(sv[0], 3));
    TRY(shutdown(sv[0], SHUT_WR));
    TRY(recv(sv[1], b, 1, MSG_DONTWAIT));
    TRY(send(sv[0], "x", 1, MSG_NOSIGNAL));
    TRY(send(sv[1], "y", 1, MSG_NOSIGNAL));
    TRY(recv(sv[0], b, 1, MSG_DONTWAIT));
    struct pollfd p = {sv[1], POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&p, 1, 0); say("poll %#x", p.revents);
    close(sv[0]);
    poll(&p, 1, 0); say("poll closed %#x", p.revents);
    TRY(send(sv[1], "y", 1, MSG_NOSIGNAL));
    TRY(recv(sv[1], b, 1, MSG_DONTWAIT));
    close(sv[1]);
    /* closed with unread data */
    pairs(sv);
    send(sv[0], "abc", 3, 0);
    close(sv[1]);
    p.fd = sv[0]; poll(&p, 1, 0); say("poll %#x", p.revents);
  int e; socklen_t el = 4;
  TRY(getsockopt(sv[0], SOL_SOCKET, SO_ERROR, &e, &el));
  say("SO_ERROR %s", errname(e));
    TRY(recv(sv[0], b, 1, MSG_DONTWAIT));
    TRY(send(sv[0], "x", 1, MSG_NOSIGNAL));
    close(sv[0]);
    /* unconnected */
    int s = NEED(socket(AF_UNIX, type | SOCK_NONBLOCK, 0));
    TRY(recv(s, b, 1, MSG_DONTWAIT));
    TRY(send(s, "x", 1, MSG_DONTWAIT));
    TRY(shutdown(s, SHUT_RDWR));
    TRY(listen(s, 1));
    TRY(accept(s, NULL, NULL));
    p.fd = s; poll(&p, 1, 0); say("poll unconnected %#x", p.revents);
    struct sockaddr_un a = {AF_UNIX, "sock"};
    TRY(bind(s, (void *)&a, 1));
    TRY(bind(s, (void *)&a, 200));
    a.sun_family = AF_INET;
    TRY(bind(s, (void *)&a, sizeof a));
    a.sun_family = AF_UNIX;
    TRY(bind(s, (void *)&a, sizeof a));
    TRY(bind(s, (void *)&a, sizeof a));
    socklen_t al = sizeof a; TRY(getsockname(s, (void *)&a, &al)); INT(al);
    al = 3; TRY(getsockname(s, (void *)&a, &al)); INT(al);
    al = -1; TRY(getsockname(s, (void *)&a, &al));
    TRY(getsockname(s, (void *)&a, NULL));
    al = sizeof a; TRY(getpeername(s, (void *)&a, &al));
    TRY(connect(s, (void *)&a, 1));
    strcpy(a.sun_path, "missing");
    TRY(connect(s, (void *)&a, sizeof a));
    put("regular", "");
    strcpy(a.sun_path, "regular");
    TRY(connect(s, (void *)&a, sizeof a));
    strcpy(a.sun_path, "sock");
    TRY(connect(s, (void *)&a, sizeof a));
    unlink("sock");
    int auto1 = NEED(socket(AF_UNIX, type, 0));
    sa_family_t fam = AF_UNIX;
    TRY(bind(auto1, (void *)&fam, sizeof fam));
    al = sizeof a; getsockname(auto1, (void *)&a, &al); INT(al);
    TRY(accept4(s, NULL, NULL, 0x1)); say("end");
    close(s); close(auto1);
  }
  OK(socket(AF_UNIX, SOCK_RAW, 0));
  TRY(socket(AF_UNIX, SOCK_RDM, 0));
  TRY(socket(AF_UNIX, SOCK_PACKET, 0));
  TRY(socket(AF_UNIX, 0, 0));
  TRY(socket(AF_UNIX, SOCK_STREAM, 2));
  TRY(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
  TRY(socket(9999, SOCK_STREAM, 0));
  TRY(socket(0, SOCK_STREAM, 0));
  TRY(socket(-1, SOCK_STREAM, 0));
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 5, (int[2]){}));
  TRY(socketpair(AF_UNIX, 77, 0, (int[2]){}));
  TRY(bind(999, NULL, 0)); TRY(listen(999, 0)); TRY(accept(999, NULL, NULL));
  TRY(connect(999, NULL, 0)); TRY(send(999, "", 0, 0)); TRY(recv(999, "", 0, 0));
  TRY(shutdown(999, 0));
  TRY(getsockname(999, NULL, NULL));
  TRY(getpeername(999, NULL, NULL));
  TRY(getsockopt(999, 1, 1, NULL, NULL));
  TRY(setsockopt(999, 1, 1, NULL, 0));
  return 0;
}

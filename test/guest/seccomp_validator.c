/* Which BPF programs are taken as filters, instruction by instruction. */
#include "filters.h"

static const char *verdict(struct sock_filter *filter, int count) {
  return install(0, filter, count) == 0 ? "taken" : errname(errno);
}
/* The filter begins with a return: what follows is checked and never executed. */
#define VERDICT(name, ...)                                                                                             \
  do {                                                                                                                 \
    struct sock_filter filter_[] = {ALLOW, __VA_ARGS__};                                                                      \
    say("%s: %s", name, verdict(filter_, COUNT(filter_)));                                                             \
  } while (0)

/* Every code, with constants at which a rule may turn. The instruction is followed by two others to jump to. */
static void codes(void) {
  unsigned constants[] = {0, 1, 4, 15, 16, 31, 32, 60, 61, 64, 0x80000000, 0xffffffff};
  for (unsigned code = 0; code < 0x100; code++) {
    char line[400] = "";
    int taken = 0;
    for (unsigned i = 0; i < COUNT(constants); i++) {
      struct sock_filter filter[] = {S(BPF_ST, 0),  S(BPF_ST, 1), S(BPF_ST, 3), S(BPF_ST, 4),
                                     S(BPF_ST, 15), ALLOW,        S(code, constants[i]), ALLOW, ALLOW};
      if (install(0, filter, COUNT(filter)) == 0) {
        taken++;
        sprintf(line + strlen(line), " %#x", constants[i]);
      } else if (errno != EINVAL) say("code %#x: %s", code, errname(errno));
    }
    if (taken > 0) say("code %#x:%s", code, line);
  }
  int others = 0;
  for (unsigned code = 0x100; code < 0x10000; code += 0x101) {
    struct sock_filter filter[] = {ALLOW, S(code, 0), ALLOW};
    if (install(0, filter, 3) == 0) others++;
  }
  INT(others);
}

static void ends(void) {
  VERDICT("return a constant", ALLOW);
  VERDICT("return A", S(BPF_RET | BPF_A, 0));
  VERDICT("return X", S(BPF_RET | BPF_X, 0));
  VERDICT("no return", S(BPF_LD | BPF_IMM, 0));
  VERDICT("a jump last", ALLOW, J(BPF_JMP | BPF_JA, 0, 0, 0));
  VERDICT("a conditional jump last", ALLOW, J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0));
  VERDICT("code after the return", ALLOW, S(BPF_LD | BPF_IMM, 0), ALLOW);
  VERDICT("a return that is none", S(BPF_RET | BPF_K | 0x100, 0));
}

static void jumps(void) {
  VERDICT("to the next", J(BPF_JMP | BPF_JA, 0, 0, 0), ALLOW);
  VERDICT("behind the end", J(BPF_JMP | BPF_JA, 1, 0, 0), ALLOW);
  VERDICT("far behind the end", J(BPF_JMP | BPF_JA, 0x7fffffff, 0, 0), ALLOW);
  VERDICT("back", J(BPF_JMP | BPF_JA, -1, 0, 0), ALLOW);
  VERDICT("back by two", ALLOW, J(BPF_JMP | BPF_JA, -2, 0, 0), ALLOW);
  VERDICT("over one", J(BPF_JMP | BPF_JA, 1, 0, 0), ALLOW, ALLOW);
  VERDICT("with jt of JA", J(BPF_JMP | BPF_JA, 0, 200, 200), ALLOW);
  VERDICT("true behind the end", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ALLOW);
  VERDICT("false behind the end", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ALLOW);
  VERDICT("both to the last", J(BPF_JMP | BPF_JSET | BPF_X, 0, 1, 1), ALLOW, ALLOW);
  VERDICT("255 behind the end", J(BPF_JMP | BPF_JGE | BPF_X, 0, 255, 0), ALLOW);
  struct sock_filter far[258];
  for (int i = 0; i < 258; i++) far[i] = (struct sock_filter)ALLOW;
  far[0] = (struct sock_filter)J(BPF_JMP | BPF_JGT | BPF_K, 0, 255, 255);
  say("as far as a jump goes: %s", verdict(far, 257));
  say("one too far: %s", verdict(far, 256));
}

static void memory(void) {
  VERDICT("read first", S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("read first into X", S(BPF_LDX | BPF_MEM, 5), ALLOW);
  VERDICT("written", S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("written from X", S(BPF_STX, 15), S(BPF_LDX | BPF_MEM, 15), ALLOW);
  VERDICT("another is written", S(BPF_ST, 1), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("word 16", S(BPF_ST, 16), ALLOW);
  VERDICT("word -1", S(BPF_ST, -1), ALLOW);
  VERDICT("word 16 into X", S(BPF_STX, 16), ALLOW);
  VERDICT("read word 16", S(BPF_LD | BPF_MEM, 16), ALLOW);
  VERDICT("written on one way", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("written on both ways", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), S(BPF_ST, 0), J(BPF_JMP | BPF_JA, 1, 0, 0),
          S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("written before the branch", S(BPF_ST, 2), J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_LD | BPF_IMM, 0),
          S(BPF_LD | BPF_MEM, 2), ALLOW);
  VERDICT("jumped over", J(BPF_JMP | BPF_JA, 1, 0, 0), S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("unreachable", J(BPF_JMP | BPF_JA, 1, 0, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("behind a return", ALLOW, S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("behind a return, written before", S(BPF_ST, 0), ALLOW, S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("the return is on the other way", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), S(BPF_ST, 0), ALLOW,
          S(BPF_LD | BPF_MEM, 0), ALLOW);
  VERDICT("two ways, one longer", J(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), J(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0),
          S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), ALLOW);
}

static void constants(void) {
  VERDICT("divide by zero", S(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW);
  VERDICT("divide by X", S(BPF_ALU | BPF_DIV | BPF_X, 0), ALLOW);
  VERDICT("shift by 31", S(BPF_ALU | BPF_LSH | BPF_K, 31), ALLOW);
  VERDICT("shift by 32", S(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW);
  VERDICT("shift right by 32", S(BPF_ALU | BPF_RSH | BPF_K, 32), ALLOW);
  VERDICT("shift by X with a constant", S(BPF_ALU | BPF_RSH | BPF_X, 99), ALLOW);
  VERDICT("modulo", S(BPF_ALU | BPF_MOD | BPF_K, 5), ALLOW);
  VERDICT("modulo X", S(BPF_ALU | BPF_MOD | BPF_X, 5), ALLOW);
  VERDICT("exclusive or", S(BPF_ALU | BPF_XOR | BPF_K, 5), ALLOW);
  VERDICT("load the last word", S(BPF_LD | BPF_W | BPF_ABS, 60), ALLOW);
  VERDICT("load behind it", S(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW);
  VERDICT("load between words", S(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW);
  VERDICT("load a half word", S(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW);
  VERDICT("load a byte", S(BPF_LD | BPF_B | BPF_ABS, 0), ALLOW);
  VERDICT("load indirectly", S(BPF_LD | BPF_W | BPF_IND, 0), ALLOW);
  VERDICT("load an ancillary word", S(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_CPU), ALLOW);
  VERDICT("header length", S(BPF_LDX | BPF_B | BPF_MSH, 0), ALLOW);
  VERDICT("length", S(BPF_LD | BPF_W | BPF_LEN, 5), ALLOW);
  VERDICT("length of a byte", S(BPF_LD | BPF_B | BPF_LEN, 5), ALLOW);
}

static void lengths(void) {
  static struct sock_filter filter[4097];
  for (int i = 0; i < 4097; i++) filter[i] = (struct sock_filter)ALLOW;
  say("4096: %s", verdict(filter, 4096));
  say("4097: %s", verdict(filter, 4097));
  say("0: %s", verdict(filter, 0));
  filter[0] = (struct sock_filter)J(BPF_JMP | BPF_JA, 4094, 0, 0);
  say("a long way: %s", verdict(filter, 4096));
  filter[0] = (struct sock_filter)J(BPF_JMP | BPF_JA, 4095, 0, 0);
  say("too long a way: %s", verdict(filter, 4096));
}

int main(void) {
  CHILD("codes", codes());
  CHILD("ends", ends());
  CHILD("jumps", jumps());
  CHILD("memory", memory());
  CHILD("constants", constants());
  CHILD("lengths", lengths());
  return 0;
}

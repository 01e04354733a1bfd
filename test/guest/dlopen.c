#include "guest.h"
#include <dlfcn.h>

int main(void) {
  void *math = dlopen("libm.so.6", RTLD_NOW);
  IS(math != NULL);
  double (*cosine)(double) = (double (*)(double))dlsym(math, "cos");
  say("%.17g", cosine(1.0));
  IS(dlsym(math, "no_such_symbol") == NULL);
  say("%s", dlopen("libno-such-library.so", RTLD_NOW) == NULL ? dlerror() : "?");
  IS(dlclose(math) == 0);
  return 0;
}

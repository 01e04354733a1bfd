/* What a program prints, gathered: one write(2) for much of it. Of the process that prints only. */
#ifndef OUTPUT_H
#define OUTPUT_H
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static char out[1 << 20];
static int out_length;

static void flush(void)
{
	for (int at = 0; at < out_length;) {
		int wrote = write(1, out + at, out_length - at);
		if (wrote <= 0)
			_exit(3);
		at += wrote;
	}
	out_length = 0;
}

static void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	out_length += vsnprintf(out + out_length, sizeof out - out_length, format, arguments);
	va_end(arguments);
	if (out_length > (int)sizeof out - 8192)
		flush();
}
#endif

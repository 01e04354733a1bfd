/* The code of systrapentry.S and systrapcode.c, linked to its place, to be written to a memfd behind the stub. */
	.section .rodata
	.globl systrap_code, systrap_code_end
	.hidden systrap_code, systrap_code_end
systrap_code:
	.incbin "build/systrapcode.bin"
systrap_code_end:

	.section .note.GNU-stack,"",@progbits

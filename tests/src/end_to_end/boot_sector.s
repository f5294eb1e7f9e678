# The smallest machine that leaves its mark on a disk: each boot adds one to the first byte of sector 1,
# fills 63 sectors with that number from sector 2048 + 64 × number on, and asks for a login on the serial
# port. It does not hear a power button.
    .code16
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    sti
    movb %dl, drive

    movb $0x42, %ah             # read sector 1
    call disk
    incb buffer
    movw $0x4300, %ax           # write it back
    call disk

    movb buffer, %al            # the number, all over 63 sectors
    movw $buffer, %di
    movw $(63 * 512), %cx
    cld
    rep stosb
    movzbl %al, %eax
    shll $6, %eax
    addl $2048, %eax
    movl %eax, address
    movw $63, count
    movw $0x4300, %ax
    call disk

    movw $message, %si
1:  lodsb
    testb %al, %al
    jz stop
    call put
    jmp 1b

disk:
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jc failed
    ret
failed:
    movb $'!', %al
    call put
stop:
    hlt
    jmp stop

put:                            # AL to the serial port, once it takes it
    movb %al, %bl
    movw $0x3fd, %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movw $0x3f8, %dx
    movb %bl, %al
    outb %al, %dx
    ret

message:
    .asciz "\r\nbcdr-test login: \r\n"
drive:
    .byte 0
    .balign 4
packet:                         # of the BIOS's extended disk services
    .byte 16, 0
count:
    .word 1
    .word buffer, 0
address:
    .long 1, 0

    .org 510
    .word 0xaa55
    .equ buffer, 0x8000

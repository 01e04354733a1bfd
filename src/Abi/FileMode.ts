/**
 * File types and permission bits of `st_mode`, inode(7), and the directory entry types of getdents64(2).
 */
export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000

export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_ISVTX = 0o1000
export const S_IXGRP = 0o010

/** Permission bits with set-id and sticky: what chmod(2) changes. */
export const ALL_PERMISSIONS = 0o7777

export const isDirectory = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR
export const isRegular = (mode: number): boolean => (mode & S_IFMT) === S_IFREG
export const isSocket = (mode: number): boolean => (mode & S_IFMT) === S_IFSOCK
export const isSymlink = (mode: number): boolean => (mode & S_IFMT) === S_IFLNK
/** Devices, FIFOs and sockets. */
export const isSpecial = (mode: number): boolean => !isDirectory(mode) && !isRegular(mode) && !isSymlink(mode)

export const DT_UNKNOWN = 0
export const DT_FIFO = 1
export const DT_CHR = 2
export const DT_DIR = 4
export const DT_BLK = 6
export const DT_REG = 8
export const DT_LNK = 10
export const DT_SOCK = 12

/** The DT_* type of a mode: the same four bits, moved. */
export const direntType = (mode: number): number => (mode & S_IFMT) >>> 12

/* Follows a process, counts what it changes on the disk, and lets one of these changes fail.

   A seccomp filter stops the process (and all its threads and children) at the system calls that
   change a disk, so nothing is missed that a C library, HDF5's or TensorFlow's C++ writes, and
   everything else runs at full speed. See disk_faults.py, which calls `install_filter` in the
   process that is watched and `follow` in its parent. Linux on x86-64 only. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE (2 * PATH_MAX)
#define CREATES (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/* Keep in step with FAULTS in disk_faults.py. */
enum fault { NONE, KILL, KILL_HALF_WAY, DISK_FULL, DISK_FULL_HALF_WAY };

/* What a system call works on: a path, two of them, or an open file. */
enum form { OPEN_FLAGS, PATH, TWO_PATHS, FILE_SIZE, FILE_BYTES };

struct call {
    long number;
    const char *kind;
    enum form form;
    int directory; /* argument with the folder that the path is relative to; -1: none */
    int path;      /* argument with the path, or with the open file */
    int extra;     /* argument with flags, the second path, a size or a count of bytes; -1: none */
};

static const struct call CALLS[] = {
    {SYS_open, "open", OPEN_FLAGS, -1, 0, 1},
    {SYS_openat, "open", OPEN_FLAGS, 0, 1, 2},
    {SYS_creat, "open", OPEN_FLAGS, -1, 0, -1},
    {SYS_mkdir, "mkdir", PATH, -1, 0, -1},
    {SYS_mkdirat, "mkdir", PATH, 0, 1, -1},
    {SYS_mknod, "mknod", PATH, -1, 0, -1},
    {SYS_mknodat, "mknod", PATH, 0, 1, -1},
    {SYS_symlink, "symlink", PATH, -1, 1, -1},
    {SYS_symlinkat, "symlink", PATH, 1, 2, -1},
    {SYS_unlink, "unlink", PATH, -1, 0, -1},
    {SYS_unlinkat, "unlink", PATH, 0, 1, -1},
    {SYS_rmdir, "rmdir", PATH, -1, 0, -1},
    {SYS_truncate, "truncate", PATH, -1, 0, -1},
    {SYS_rename, "rename", TWO_PATHS, -1, 0, 1},
    {SYS_renameat, "rename", TWO_PATHS, 0, 1, 3},
    {SYS_renameat2, "rename", TWO_PATHS, 0, 1, 3},
    {SYS_link, "link", TWO_PATHS, -1, 0, 1},
    {SYS_linkat, "link", TWO_PATHS, 0, 1, 3},
    {SYS_write, "write", FILE_BYTES, -1, 0, 2},
    {SYS_pwrite64, "write", FILE_BYTES, -1, 0, 2},
    {SYS_writev, "writev", FILE_BYTES, -1, 0, -1},
    {SYS_pwritev, "writev", FILE_BYTES, -1, 0, -1},
    {SYS_pwritev2, "writev", FILE_BYTES, -1, 0, -1},
    {SYS_sendfile, "sendfile", FILE_BYTES, -1, 0, 3},
    {SYS_copy_file_range, "copy_file_range", FILE_BYTES, -1, 2, 4},
    {SYS_splice, "splice", FILE_BYTES, -1, 2, 4},
    {SYS_fallocate, "fallocate", FILE_BYTES, -1, 0, -1},
    {SYS_ftruncate, "ftruncate", FILE_SIZE, -1, 0, 1},
    {SYS_fsync, "fsync", FILE_BYTES, -1, 0, -1},
    {SYS_fdatasync, "fsync", FILE_BYTES, -1, 0, -1},
};
#define CALL_COUNT (sizeof CALLS / sizeof CALLS[0])

/* A change that is about to happen. */
struct change {
    const struct call *call;
    char path[PATH_SIZE];
    char second[PATH_SIZE];
    unsigned long long bytes;
    int takes_space;
};

/* What one watched run is about. */
struct watch {
    pid_t child;
    const char *folder;
    FILE *log;
    enum fault fault;
    long at;
    long count;
    int is_full;
    pid_t dying; /* the thread that is killed when its shortened write has returned */
};

int install_filter(void)
{
    /* The list of calls, two instructions each, and a few around it. */
    struct sock_filter code[4 * CALL_COUNT + 8];
    size_t size = 0;
    code[size++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[size++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALL_COUNT; i++) {
        const struct call *call = &CALLS[i];
        if (call->form == OPEN_FLAGS && call->extra >= 0) { /* most files are opened to be read */
            unsigned flags = offsetof(struct seccomp_data, args) + 8u * (unsigned)call->extra;
            code[size++] = (struct sock_filter)BPF_JUMP(
                BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call->number, 0, 4);
            code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags);
            code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CREATES, 1, 0);
            code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        } else {
            code[size++] = (struct sock_filter)BPF_JUMP(
                BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call->number, 0, 1);
        }
        code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)size, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static unsigned long long get_argument(const struct user_regs_struct *registers, int index)
{
    const unsigned long long values[] = {registers->rdi, registers->rsi, registers->rdx,
                                         registers->r10, registers->r8, registers->r9};
    return values[index];
}

static void read_link(pid_t thread, const char *what, char *target)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/%s", thread, what);
    ssize_t length = readlink(name, target, PATH_SIZE - 1);
    target[length > 0 ? length : 0] = '\0';
}

static void read_open_file(pid_t thread, int number, char *target)
{
    char name[32];
    snprintf(name, sizeof name, "fd/%d", number);
    read_link(thread, name, target);
}

static void read_text(pid_t thread, unsigned long long address, char *text, size_t size)
{
    size_t done = 0;
    while (done < size - 1) {
        size_t piece = 4096 - (address + done) % 4096; /* the next page may not be there */
        if (piece > size - 1 - done)
            piece = size - 1 - done;
        struct iovec here = {text + done, piece};
        struct iovec there = {(void *)(address + done), piece};
        ssize_t got = process_vm_readv(thread, &here, 1, &there, 1, 0);
        if (got <= 0)
            break;
        done += (size_t)got;
        if (memchr(text + done - got, '\0', (size_t)got) != NULL)
            return;
    }
    text[done] = '\0';
}

/* Read a path argument and make it absolute, without "." and "..". */
static void read_path(pid_t thread, const struct user_regs_struct *registers, int directory,
                      int index, char *path)
{
    char given[PATH_MAX], whole[PATH_SIZE + PATH_MAX + 2], base[PATH_SIZE] = "";
    read_text(thread, get_argument(registers, index), given, sizeof given);
    if (given[0] != '/') {
        int number = directory < 0 ? AT_FDCWD : (int)get_argument(registers, directory);
        if (number == AT_FDCWD)
            read_link(thread, "cwd", base);
        else
            read_open_file(thread, number, base);
    }
    snprintf(whole, sizeof whole, "%s/%s", base, given);
    size_t length = 0;
    for (char *rest = NULL, *part = strtok_r(whole, "/", &rest); part != NULL;
         part = strtok_r(NULL, "/", &rest)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (length > 0 && path[--length] != '/')
                ;
            continue;
        }
        int added = snprintf(path + length, PATH_SIZE - length, "/%s", part);
        length += (size_t)added < PATH_SIZE - length ? (size_t)added : 0;
    }
    path[length] = '\0';
}

static int is_there(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0;
}

static int is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Describe what a stopped call is about to change; return whether it changes a disk. */
static int describe(pid_t thread, const struct user_regs_struct *registers, struct change *change)
{
    memset(change, 0, sizeof *change);
    for (size_t i = 0; i < CALL_COUNT; i++)
        if (CALLS[i].number == (long)registers->orig_rax)
            change->call = &CALLS[i];
    const struct call *call = change->call;
    if (call == NULL)
        return 0;
    if (call->form == FILE_BYTES || call->form == FILE_SIZE) {
        read_open_file(thread, (int)get_argument(registers, call->path), change->path);
        change->bytes = call->extra < 0 ? 0 : get_argument(registers, call->extra);
        change->takes_space = 1;
        if (call->form == FILE_SIZE) {
            char name[64];
            struct stat found;
            snprintf(name, sizeof name, "/proc/%d/fd/%d", thread,
                     (int)get_argument(registers, call->path));
            change->takes_space =
                stat(name, &found) != 0 || change->bytes > (unsigned long long)found.st_size;
        }
        return change->path[0] == '/';
    }
    read_path(thread, registers, call->directory, call->path, change->path);
    int was_there = is_there(change->path);
    if (call->form == TWO_PATHS) {
        int directory = call->directory < 0 ? -1 : call->extra - 1;
        read_path(thread, registers, directory, call->extra, change->second);
        change->takes_space = strcmp(call->kind, "link") == 0;
        return was_there;
    }
    if (call->form == OPEN_FLAGS) {
        unsigned long long flags =
            call->extra < 0 ? O_CREAT | O_TRUNC : get_argument(registers, call->extra);
        change->takes_space = !was_there;
        if (was_there && (flags & O_CREAT) && (flags & O_EXCL))
            return 0;
        return was_there ? (flags & O_TRUNC) != 0 : (flags & (CREATES & ~O_TRUNC)) != 0;
    }
    int makes = strcmp(call->kind, "mkdir") == 0 || strcmp(call->kind, "symlink") == 0 ||
                strcmp(call->kind, "mknod") == 0;
    change->takes_space = makes;
    return makes != was_there;
}

static void resume(pid_t thread, enum __ptrace_request request, int signal)
{
    ptrace(request, thread, NULL, (void *)(long)signal);
}

static void refuse(pid_t thread, struct user_regs_struct *registers)
{
    registers->orig_rax = (unsigned long long)-1;
    registers->rax = (unsigned long long)-ENOSPC;
    ptrace(PTRACE_SETREGS, thread, NULL, registers);
}

static int is_halved(struct watch *watch, pid_t thread, struct user_regs_struct *registers,
                     const struct change *change)
{
    if (strcmp(change->call->kind, "write") != 0 || change->bytes < 2)
        return 0;
    registers->rdx = change->bytes / 2;
    ptrace(PTRACE_SETREGS, thread, NULL, registers);
    if (watch->fault == KILL_HALF_WAY) {
        watch->dying = thread;
        resume(thread, PTRACE_SYSCALL, 0);
    } else {
        resume(thread, PTRACE_CONT, 0);
    }
    return 1;
}

/* Let a stopped system call go on, or fail as the plan says. */
static void decide(struct watch *watch, pid_t thread)
{
    struct user_regs_struct registers;
    struct change change;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0)
        return; /* it was killed meanwhile */
    if (!describe(thread, &registers, &change) || is_below(change.path, "/dev") ||
        is_below(change.path, "/proc")) {
        resume(thread, PTRACE_CONT, 0);
        return;
    }
    int is_watched = is_below(change.path, watch->folder) || is_below(change.second, watch->folder);
    if (is_watched)
        watch->count++;
    fprintf(watch->log, "%ld\t%s\t%d\t%llu\t%s\t%s%c", is_watched ? watch->count : 0L,
            change.call->kind, change.takes_space, change.bytes, change.path, change.second, '\0');
    int is_now = is_watched && watch->count == watch->at;
    if (is_now && (watch->fault == KILL_HALF_WAY || watch->fault == DISK_FULL_HALF_WAY)) {
        watch->is_full = watch->fault == DISK_FULL_HALF_WAY;
        if (is_halved(watch, thread, &registers, &change))
            return;
    }
    if (is_now && (watch->fault == KILL || watch->fault == KILL_HALF_WAY)) {
        kill(watch->child, SIGKILL);
        return;
    }
    if (is_now && watch->fault == DISK_FULL)
        watch->is_full = 1;
    if (is_watched && watch->is_full && change.takes_space)
        refuse(thread, &registers);
    resume(thread, PTRACE_CONT, 0);
}

/* Begin to watch a child that waits; return 0, or -1 where that is not allowed. */
int begin(pid_t child)
{
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    return (int)ptrace(PTRACE_SEIZE, child, NULL, (void *)options);
}

/* Follow a child to its end; return its status as `wait` does, or -1. */
int follow(pid_t child, const char *folder, const char *log, int fault, long at)
{
    struct watch watch = {child, folder, fopen(log, "wb"), (enum fault)fault, at, 0, 0, 0};
    int status, end = -1;
    pid_t thread;
    if (watch.log == NULL)
        return -1;
    while ((thread = waitpid(-1, &status, __WALL)) > 0) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == child) {
                end = status;
                break;
            }
        } else if (WIFSTOPPED(status)) {
            int event = status >> 16, signal = WSTOPSIG(status);
            if (event == PTRACE_EVENT_SECCOMP) {
                decide(&watch, thread);
            } else if (signal == (SIGTRAP | 0x80)) { /* the shortened write has returned */
                if (thread == watch.dying)
                    kill(child, SIGKILL);
                else
                    resume(thread, PTRACE_CONT, 0);
            } else {
                resume(thread, PTRACE_CONT, event != 0 ? 0 : signal);
            }
        }
    }
    fclose(watch.log);
    return end;
}

/* A disk that forgets what was not synced, as a library to preload under one process.
 *
 * UNSYNCED_DISK names a folder. Files below it work as usual, but this library also keeps, in the folder
 * UNSYNCED_PLATTER, what a power cut would leave: of each file, its content at the last fsync or fdatasync; of a
 * renamed file, its new name only once the folder was synced. After the process was killed, the platter is the disk.
 *
 * As on a journaling file system, the first sync of a new file also makes its name durable, and any sync makes earlier
 * removals durable. It is harsher than a real disk in nothing, so a program that loses data here loses it there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_RENAMES 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char from[PATH_MAX], to[PATH_MAX]; } pending[PENDING_RENAMES];
static size_t pending_count;
static char removed[PENDING_RENAMES][PATH_MAX];
static size_t removed_count;

/* Where `path` stands on the platter, or 0 when it is not below the disk. */
static int on_platter(const char *path, char *out) {
    const char *disk = getenv("UNSYNCED_DISK"), *platter = getenv("UNSYNCED_PLATTER");
    size_t length;
    if (!disk || !platter) return 0;
    length = strlen(disk);
    if (strncmp(path, disk, length) != 0 || (path[length] != '/' && path[length] != 0)) return 0;
    return snprintf(out, PATH_MAX, "%s%s", platter, path + length) < PATH_MAX;
}

static int path_of(int fd, char *out) {
    char link[64];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, out, PATH_MAX - 1);
    if (length < 0) return 0;
    out[length] = 0;
    return 1;
}

static void make_parents(const char *path) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *at = copy + 1; *at; at++)
        if (*at == '/') { *at = 0; mkdir(copy, 0700); *at = '/'; }
}

/* The copy appears whole: the process may be killed while it is being made. */
static int copy_whole(const char *from, const char *to) {
    static char buffer[1 << 16];
    char half[PATH_MAX + 8];
    ssize_t length;
    int in = open(from, O_RDONLY | O_CLOEXEC), out;
    if (in < 0) return -1;
    make_parents(to);
    snprintf(half, sizeof half, "%s.half", to);
    out = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) { close(in); return -1; }
    while ((length = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)length) != length) { length = -1; break; }
    close(in);
    close(out);
    return length < 0 ? -1 : ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(half, to);
}

static void apply_renames(const char *folder) {
    size_t kept = 0, length = strlen(folder);
    for (size_t i = 0; i < pending_count; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        int here = strncmp(pending[i].to, folder, length) == 0 && pending[i].to[length] == '/'
            && !strchr(pending[i].to + length + 1, '/');
        if (here && on_platter(pending[i].from, from) && on_platter(pending[i].to, to))
            ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
        else
            pending[kept++] = pending[i];
    }
    pending_count = kept;
}

static void apply_removals(void) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    for (size_t i = 0; i < removed_count; i++) real(removed[i]);
    removed_count = 0;
}

static int sync_one(int fd) {
    char path[PATH_MAX], platter[PATH_MAX];
    struct stat facts;
    int result = 0;
    if (!path_of(fd, path) || !on_platter(path, platter)) return 0;
    pthread_mutex_lock(&lock);
    apply_removals();
    if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) apply_renames(path);
    else result = copy_whole(path, platter);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_one(fd); }
int fdatasync(int fd) { return sync_one(fd); }

int unlink(const char *path) {
    char full[PATH_MAX], platter[PATH_MAX];
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    int known = realpath(path, full) && on_platter(full, platter);
    int result = real(path);
    if (result != 0 || !known) return result;
    pthread_mutex_lock(&lock);
    if (removed_count == PENDING_RENAMES) abort();
    snprintf(removed[removed_count++], PATH_MAX, "%s", platter);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    char full_from[PATH_MAX], full_to[PATH_MAX], ignored[PATH_MAX];
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    int result = real(from, to);
    if (result != 0 || !realpath(to, full_to) || !on_platter(full_to, ignored)) return result;
    /* The old name is gone, so its folder is resolved and its last part put back. */
    {
        char folder[PATH_MAX];
        const char *slash = strrchr(from, '/');
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - from) : 1, slash ? from : ".");
        if (!realpath(folder, full_from)) return result;
        strncat(full_from, "/", PATH_MAX - strlen(full_from) - 1);
        strncat(full_from, slash ? slash + 1 : from, PATH_MAX - strlen(full_from) - 1);
    }
    pthread_mutex_lock(&lock);
    if (pending_count == PENDING_RENAMES) abort();
    snprintf(pending[pending_count].from, PATH_MAX, "%s", full_from);
    snprintf(pending[pending_count].to, PATH_MAX, "%s", full_to);
    pending_count++;
    pthread_mutex_unlock(&lock);
    return result;
}

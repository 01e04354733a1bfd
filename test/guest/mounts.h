/*
 * What the guests about mount(2) share: a mount namespace of their own, so that the host is never changed, and mountinfo
 * without what differs from system to system.
 */
#ifndef MOUNTS_H
#define MOUNTS_H
#include "guest.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Enters a scratch directory on a private tmpfs in a mount namespace of its own; ends where that takes more rights. */
static inline void private_mounts(void) {
  scratch();
  if (unshare(CLONE_NEWNS) == -1) {
    say("unshare(CLONE_NEWNS): %s", errname(errno));
    exit(0);
  }
  NEED(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  NEED(mount("scratch", scratch_path, "tmpfs", 0, "mode=755"));
  NEED(chdir(scratch_path));
}

/* Ids of mounts are shown as the order in which a listing names them, those of peer groups as that in which they came up. */
static int seen_ids[64], seen_id_count;
static int seen_groups[64], seen_group_count;

static inline int order_of(int *seen, int *count, int value) {
  for (int i = 0; i < *count; i++)
    if (seen[i] == value) return i + 1;
  if (*count < 64) seen[(*count)++] = value;
  return *count;
}

static inline void show_optional(char *out, size_t size, const char *name, const char *field) {
  size_t length = strlen(name);
  if (strncmp(field, name, length) != 0) return;
  size_t used = strlen(out);
  snprintf(out + used, size - used, " %s%d", name, order_of(seen_groups, &seen_group_count, atoi(field + length)));
}

/* The mounts below the scratch directory: their place relative to it, and everything else but ids and devices. */
static inline void show_mounts_of(const char *title, const char *file, const char *below) {
  say("%s", title);
  seen_id_count = 0;
  FILE *info = fopen(file, "re");
  if (info == NULL) {
    say("  %s", errname(errno));
    return;
  }
  static char line[8192];
  size_t prefix = strcmp(below, "/") == 0 ? 0 : strlen(below);
  while (fgets(line, sizeof line, info) != NULL) {
    int id, parent, consumed;
    char device[32], root[1024], point[1024], options[256];
    if (sscanf(line, "%d %d %31s %1023s %1023s %255s%n", &id, &parent, device, root, point, options, &consumed) != 6) continue;
    if (strncmp(point, below, prefix) != 0) continue;
    char optional[256] = "", *field = strtok(line + consumed, " \n");
    for (; field != NULL && strcmp(field, "-") != 0; field = strtok(NULL, " \n")) {
      show_optional(optional, sizeof optional, "shared:", field);
      show_optional(optional, sizeof optional, "master:", field);
      show_optional(optional, sizeof optional, "propagate_from:", field);
      if (strcmp(field, "unbindable") == 0) strcat(optional, " unbindable");
    }
    char *type = strtok(NULL, " \n"), *source = strtok(NULL, " \n"), *super = strtok(NULL, " \n");
    /* the filesystem of the host's root differs, and so do its options */
    bool known = type != NULL && (strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0 || strcmp(type, "proc") == 0);
    char *at_scratch = strstr(root, scratch_path);
    say("  %d on %d: %s at %s %s%s - %s %s %s", order_of(seen_ids, &seen_id_count, id),
        order_of(seen_ids, &seen_id_count, parent), at_scratch != NULL ? at_scratch + strlen(scratch_path) : root,
        point + prefix, options, optional, known ? type : "?", known ? source : "?", known ? super : "?");
  }
  fclose(info);
}

static inline void show_mounts(const char *title) { show_mounts_of(title, "/proc/self/mountinfo", scratch_path); }

/* The flags of statvfs(3). */
static inline void show_flags(const char *path) {
  struct statvfs status;
  if (statvfs(path, &status) == -1) {
    say("statvfs %s: %s", path, errname(errno));
    return;
  }
  say("statvfs %s: %s%s%s%s%s%s%s%s", path, status.f_flag & ST_RDONLY ? "ro" : "rw", status.f_flag & ST_NOSUID ? " nosuid" : "",
      status.f_flag & ST_NODEV ? " nodev" : "", status.f_flag & ST_NOEXEC ? " noexec" : "",
      status.f_flag & ST_NOATIME ? " noatime" : "", status.f_flag & ST_NODIRATIME ? " nodiratime" : "",
      status.f_flag & ST_RELATIME ? " relatime" : "", status.f_flag & 0x2000 ? " nosymfollow" : "");
}

#endif

// The first process in a kernel of the lab. Runs each line of /commands in /out, where it leaves
// what the command says in NUMBER.log and how it ended as a line of `status`. Then puts the files
// of /out on the disk, as a cpio archive like the initramfs itself, and switches the machine off.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kArgumentsMax = 63, kSecondsMax = 280 };

static void start(char* line, const char* log) {
  char* arguments[kArgumentsMax + 1];
  int count = 0;
  for (char* word = strtok(line, " \n"); word && count < kArgumentsMax; word = strtok(NULL, " \n"))
    arguments[count++] = word;
  arguments[count] = NULL;
  const int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  alarm(kSecondsMax);  // outlives execv
  execv(arguments[0], arguments);
  perror(arguments[0]);
  _exit(127);
}

// What a shell would say of the process.
static int status_of(pid_t child) {
  int status = 0;
  while (waitpid(-1, &status, 0) != child) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_commands(FILE* commands) {
  FILE* said = fopen("/out/status", "we");
  char line[4096];
  for (int number = 0; fgets(line, sizeof line, commands); ++number) {
    char log[32];
    snprintf(log, sizeof log, "/out/%d.log", number);
    const pid_t child = fork();
    if (child == 0) start(line, log);
    fprintf(said, "%d\n", status_of(child));
  }
  fclose(said);
}

static void pad(FILE* archive) {
  while (ftell(archive) % 4 != 0) fputc(0, archive);
}

static void put(FILE* archive, const char* name, FILE* file) {
  struct stat facts = {0};
  if (file) fstat(fileno(file), &facts);
  fprintf(archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s%c", 0u,
          (unsigned)facts.st_mode, 0u, 0u, 1u, 0u, (unsigned)facts.st_size, 0u, 0u, 0u, 0u,
          (unsigned)strlen(name) + 1, 0u, name, 0);
  pad(archive);
  for (int byte; file && (byte = fgetc(file)) != EOF;) fputc(byte, archive);
  pad(archive);
}

static void leave_files(const char* disk) {
  FILE* archive = fopen(disk, "w");
  DIR* folder = opendir(".");
  if (!archive || !folder) {
    perror(disk);
    return;
  }
  for (struct dirent* entry; (entry = readdir(folder));) {
    FILE* file = entry->d_type == DT_REG ? fopen(entry->d_name, "r") : NULL;
    if (!file) continue;
    put(archive, entry->d_name, file);
    fclose(file);
  }
  put(archive, "TRAILER!!!", NULL);
  fflush(archive);
  fsync(fileno(archive));
}

int main(void) {
  static const char* const kMounts[][2] = {{"/dev", "devtmpfs"},
                                           {"/dev/shm", "tmpfs"},
                                           {"/proc", "proc"},
                                           {"/sys", "sysfs"},
                                           {"/out", "tmpfs"}};
  for (size_t i = 0; i < sizeof kMounts / sizeof kMounts[0]; ++i) {
    mkdir(kMounts[i][0], 0755);
    if (mount("none", kMounts[i][0], kMounts[i][1], 0, NULL) != 0) perror(kMounts[i][0]);
  }
  FILE* commands = fopen("/commands", "re");
  if (!commands || chdir("/out") != 0) return 1;
  run_commands(commands);
  leave_files("/dev/nvme0n1");
  return reboot(RB_POWER_OFF);
}

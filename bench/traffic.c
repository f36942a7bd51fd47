/* What the guest's traffic costs on its way: send as fast as one CPU does, and take the time.
 *
 *   traffic sink            takes what comes, and answers nothing
 *   traffic udp ADDRESS     then, on stdin, milliseconds; on stdout the nanoseconds of each
 *   traffic tcp ADDRESS     datagram of 64 bytes, or of each 64 KiB
 *
 * Run both ends on one CPU: it walks the whole way, so that what the path costs is in the figure.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 40000, DATAGRAM = 64, CHUNK = 65536, BATCH = 64 };

static char buffer[CHUNK];

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int sink(const struct sockaddr_in *at) {
  int datagrams = socket(AF_INET, SOCK_DGRAM, 0), stream = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(datagrams, (const void *)at, sizeof *at) || bind(stream, (const void *)at, sizeof *at) ||
      listen(stream, 1))
    return perror("sink"), 1;
  puts("ready");
  for (;;) {
    int one = accept(stream, NULL, NULL);
    while (recv(one, NULL, 1 << 20, MSG_TRUNC) > 0) continue;  // thrown away in the kernel
    close(one);
  }
}

int main(int count, char **words) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  setvbuf(stdout, NULL, _IONBF, 0);
  if (count == 2 && !strcmp(words[1], "sink")) return sink(&at);
  if (count != 3 || inet_pton(AF_INET, words[2], &at.sin_addr) != 1) return 2;
  int tcp = !strcmp(words[1], "tcp"), size = tcp ? CHUNK : DATAGRAM, batch = tcp ? 1 : BATCH;
  int out = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  if (connect(out, (struct sockaddr *)&at, sizeof at)) return perror("connect"), 1;
  puts("ready");
  int64_t milliseconds;
  while (scanf("%ld", &milliseconds) == 1) {
    int64_t begun = now(), until = begun + milliseconds * 1000000, sent = 0, ended;
    do {
      for (int i = 0; i < batch; i++) sent += send(out, buffer, size, 0) == size;
    } while ((ended = now()) < until);
    printf("%.2f\n", sent ? (double)(ended - begun) / sent : -1.0);
  }
}

/* The guest's end of a tap, as QEMU holds it: asks and takes the time of the answers.
 *
 *   prober TAP MAC        then, on stdin, one request a line; on stdout, one line each:
 *   KIND WAY COUNT GAP_US TIMEOUT_MS    KIND discover, dora, solicit or rs
 *                                   WAY same: again, with another transaction id
 *                                       alike: again, in words that no request had before
 *                                       new: asking for options that were never asked for together
 *                                   -> the nanoseconds of each answer, -1 for none
 *   flood SECONDS ROUTER COSTLY     as fast as the tap takes it; COSTLY 1: only DISCOVERs and
 *                                   SOLICITs of 1,200 octets, each with identifiers that are new
 *                                   -> frames sent, nanoseconds to the next honest answer or -1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { SAME = 's', ALIKE = 'a', NEW = 'n' };
enum { COSTLY = 1200 };  // octets of an IP packet
enum { VNET = 10, ETH = 14, DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, ADVERTISE = 2 };

static int tap;
static int way = SAME;
static unsigned asked_before;
static uint8_t mac[6], link_local[16];
static uint8_t buffer[VNET + 2048], answer[VNET + 65536];
static uint8_t *const frame = buffer + VNET, *const got = answer + VNET;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint32_t sum(const uint8_t *at, int length, uint32_t total) {
  for (int i = 0; i + 1 < length; i += 2) total += at[i] << 8 | at[i + 1];
  return length & 1 ? total + (at[length - 1] << 8) : total;
}

static void put16(uint8_t *at, unsigned value) { at[0] = value >> 8, at[1] = value; }

static void checksum(uint8_t *at, uint32_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  put16(at, total == 0xffff ? total : ~total & 0xffff);  // 0 is "none", which UDP over IPv6 forbids
}

static void ethernet(const char *to, unsigned type) {
  memset(buffer, 0, VNET + COSTLY + ETH);
  memcpy(frame, to, 6), memcpy(frame + 6, mac, 6), put16(frame + 12, type);
}

/* Write the numbers of options in `size` octets each: all, in an order of chance where requests are
 * to be alike, or where they are to be new a choice that was not made before. Returns the end. */
static uint8_t *wishes(uint8_t *at, const uint8_t *codes, int count, int size) {
  unsigned chosen = way == NEW ? ++asked_before : ~0u, first = way == ALIKE ? rand() % count : 0;
  for (int i = 0; i < count; i++)
    if (chosen >> i & 1)
      memset(at, 0, size), at[size - 1] = codes[(first + i) % count], at += size;
  return at;
}

static int dhcp4(int kind, uint32_t xid, const uint8_t *offered, const uint8_t *server) {
  uint8_t *ip = frame + ETH, *udp = ip + 20, *bootp = udp + 8, *option = bootp + 240, *list;
  static const uint8_t usual[] = {1, 3, 6, 12, 15, 26, 33, 42, 119, 121};
  static const uint8_t all[] = {3, 6, 12, 15, 26, 28, 42, 60, 66, 67, 108, 114, 119, 121, 150, 249};
  ethernet("\xff\xff\xff\xff\xff\xff", 0x0800);
  memcpy(bootp, "\1\1\6", 3), memcpy(bootp + 4, &xid, 4), memcpy(bootp + 28, mac, 6);
  memcpy(bootp + 236, "\x63\x82\x53\x63", 4);
  *option++ = 53, *option++ = 1, *option++ = kind;
  *option++ = 61, *option++ = 7, *option++ = 1, memcpy(option, mac, 6), option += 6;
  *option++ = 55, list = option++;
  option = way == NEW ? wishes(option, all, sizeof all, 1) : wishes(option, usual, sizeof usual, 1);
  *list = option - list - 1;
  memcpy(option, "\x39\2\5\xc0", 4), option += 4;
  if (way == ALIKE) {
    put16(bootp + 8, rand()), put16(ip + 4, rand());
    option += sprintf((char *)option, "\x3c\x13" "client-%08x-1.0", rand());
  }
  if (offered) {
    *option++ = 50, *option++ = 4, memcpy(option, offered, 4), option += 4;
    *option++ = 54, *option++ = 4, memcpy(option, server, 4), option += 4;
  }
  *option++ = 255;
  int length = option - udp < 8 + 300 ? 8 + 300 : option - udp;
  memcpy(ip, "\x45", 1), put16(ip + 2, 20 + length), ip[8] = 64, ip[9] = 17;
  memset(ip + 16, 255, 4), checksum(ip + 10, sum(ip, 20, 0));
  put16(udp, 68), put16(udp + 2, 67), put16(udp + 4, length);
  checksum(udp + 6, sum(udp, length, sum(ip + 12, 8, 17 + length)));
  return ETH + 20 + length;
}

static int ipv6(const char *to, const uint8_t *target, int next, int hops, int length) {
  uint8_t *ip = frame + ETH, *up = ip + 40;
  memcpy(frame, to, 6), ip[0] = 0x60;  // a flow label may be there already
  put16(ip + 4, length), ip[6] = next, ip[7] = hops;
  memcpy(ip + 8, link_local, 16), memcpy(ip + 24, target, 16);
  checksum(up + (next == 17 ? 6 : 2), sum(up, length, sum(ip + 8, 32, length + next)));
  return ETH + 40 + length;
}

static int solicit(uint32_t xid) {
  static const uint8_t servers[16] = {0xff, 2, [13] = 1, [15] = 2};
  static const uint8_t codes[] = {23, 24, 31, 39, 56, 59, 60, 82, 83, 103};
  uint8_t *udp = frame + ETH + 40, *message = udp + 8, *option = message + 4, *list;
  const uint8_t options[] = {0, 1, 0, 10, 0, 3, 0, 1, mac[0], mac[1], mac[2], mac[3], mac[4],
    mac[5], 0, 3, 0, 12, 0, 0, 0, 1, [30] = 0, 8, 0, 2, 0, 0, 0, 6, 0, 0};
  ethernet("\x33\x33\0\1\0\2", 0x86dd);
  message[0] = 1, memcpy(message + 1, &xid, 3);
  memcpy(option, options, sizeof options);
  if (way == ALIKE) put16(frame + 16, rand()), put16(option + 34, rand());
  option += sizeof options, list = option - 2;
  option = wishes(option, codes, way == NEW ? sizeof codes : 2, 2);
  put16(list, option - list - 2);
  if (way == ALIKE) {
    static const uint8_t vendor[] = {0, 16, 0, 16, 0, 0, 0, 9, 0, 10};
    memcpy(option, vendor, sizeof vendor), option += sizeof vendor;
    option += sprintf((char *)option, "c-%08x", rand());
  }
  int length = option - udp;
  put16(udp, 546), put16(udp + 2, 547), put16(udp + 4, length);
  return ipv6("\x33\x33\0\1\0\2", servers, 17, 1, length);
}

static int neighbour(int type, const uint8_t *target) {
  static const uint8_t routers[16] = {0xff, 2, [15] = 2};
  uint8_t *icmp = frame + ETH + 40, *option = icmp + (target ? 24 : 8);
  ethernet("\x33\x33\0\0\0\2", 0x86dd);
  icmp[0] = type, option[0] = option[1] = 1, memcpy(option + 2, mac, 6);
  if (!target && way == ALIKE) {  // a nonce (RFC 3971), which no answer repeats
    option[8] = 14, option[9] = 1, put16(option + 10, rand()), put16(option + 12, rand());
    return ipv6("\x33\x33\0\0\0\2", routers, 58, 255, 24);
  }
  if (!target) return ipv6("\x33\x33\0\0\0\2", routers, 58, 255, 16);
  uint8_t group[16] = {0xff, 2, [11] = 1, 0xff, target[13], target[14], target[15]};
  char to[6] = {0x33, 0x33, 0xff, target[13], target[14], target[15]};
  memcpy(icmp + 8, target, 16);
  return ipv6(to, group, 58, 255, 32);
}

/* Random bytes behind headers that a filter lets pass, cut anywhere. */
static int garbage(void) {
  static const uint8_t target[16] = {0xfe, 0x80};
  int length;
  switch (rand() % 4) {
    case 0: length = dhcp4(DISCOVER, rand(), NULL, NULL); break;
    case 1: length = solicit(rand()); break;
    case 2: length = neighbour(133, NULL); break;
    default: length = neighbour(135, target);
  }
  for (int i = ETH + 42 + rand() % 8; i < length; i++) frame[i] = rand();
  return ETH + rand() % (length - ETH + 1);
}

/* Fill up a DISCOVER with another client identifier and vendor options to 1,200 octets. */
static int costly4(void) {
  uint8_t *ip = frame + ETH, *udp = ip + 20, *option = udp + 8 + 240 + 3, *end = ip + COSTLY;
  dhcp4(DISCOVER, rand(), NULL, NULL);
  for (int i = 2; i < 9; i++) option[i] = rand();  // behind the message type: the identifier
  for (option += 9; *option != 255; option += 2 + option[1]) continue;
  for (int size; end - option > 3; option += 2 + size) {
    size = end - option - 3 < 255 ? end - option - 3 : 255;
    option[0] = 77, option[1] = size;
    for (int i = 0; i < size; i++) option[2 + i] = rand();
  }
  while (option < end) *option++ = 255;
  put16(ip + 2, COSTLY), put16(ip + 10, 0), checksum(ip + 10, sum(ip, 20, 0));
  put16(udp + 4, COSTLY - 20), put16(udp + 6, 0);
  checksum(udp + 6, sum(udp, COSTLY - 20, sum(ip + 12, 8, 17 + COSTLY - 20)));
  return ETH + COSTLY;
}

/* The same of a SOLICIT: another DUID and IAID, and an IA_NA full of addresses. */
static int costly6(void) {
  static const uint8_t servers[16] = {0xff, 2, [13] = 1, [15] = 2};
  uint8_t *udp = frame + ETH + 40, *message = udp + 8, *option = message + 4, *end = udp - 40 + COSTLY;
  solicit(rand());
  for (int i = 8; i < 14; i++) option[i] = rand();  // the DUID's link-layer address
  option += 14;                                     // the IA_NA
  for (int i = 4; i < 8; i++) option[i] = rand();
  uint8_t *address = option + 16;
  for (; end - address >= 28; address += 28) {
    memset(address, 0, 28), address[1] = 5, address[3] = 24;
    for (int i = 4; i < 20; i++) address[i] = rand();
  }
  put16(option + 2, address - option - 4);
  put16(udp + 4, address - udp), put16(udp + 6, 0);
  return ipv6("\x33\x33\0\1\0\2", servers, 17, 1, address - udp);
}

static void put(int length) {
  if (write(tap, buffer, VNET + length) < 0 && errno != EAGAIN) perror("write to the tap"), exit(1);
}

static const uint8_t *option4(int length, int wanted) {
  const uint8_t *at = got + ETH + 28 + 240, *end = got + length;
  while (at + 2 <= end && *at != 255) {
    if (*at == wanted) return at + 2;
    at += *at ? 2 + at[1] : 1;
  }
  return NULL;
}

static int is_answer(char kind, uint32_t xid, int expected, int length) {
  unsigned type = got[12] << 8 | got[13];
  if (kind == 'd') {
    const uint8_t *said;
    return length > ETH + 28 + 240 && type == 0x0800 && got[23] == 17 && got[ETH + 21] == 67 &&
           !memcmp(got + ETH + 28 + 4, &xid, 4) && (said = option4(length, 53)) &&
           *said == expected;
  }
  if (type != 0x86dd || length < ETH + 48) return 0;
  if (kind == 's')
    return got[20] == 17 && (got[56] << 8 | got[57]) == 546 && got[62] == ADVERTISE &&
           !memcmp(got + 63, &xid, 3);
  return got[20] == 58 && got[54] == 134;
}

/* Wait for the answer; returns its length or 0. */
static int await(char kind, uint32_t xid, int expected, int64_t until) {
  for (;;) {
    int64_t left = until - now();
    struct pollfd ready = {tap, POLLIN, 0};
    struct timespec wait = {left / 1000000000, left % 1000000000};
    if (left <= 0 || ppoll(&ready, 1, &wait, NULL) <= 0) return 0;
    int length = read(tap, answer, sizeof answer) - VNET;
    if (length > 0 && is_answer(kind, xid, expected, length)) return length;
  }
}

static int64_t ask(char kind, int whole, int64_t timeout) {
  uint32_t xid = rand();
  while (read(tap, answer, sizeof answer) > 0) continue;
  int length = kind == 'd' ? dhcp4(DISCOVER, xid, NULL, NULL)
               : kind == 's' ? solicit(xid) : neighbour(133, NULL);
  int64_t start = now();
  put(length);
  if (!(length = await(kind, xid, kind == 'd' ? OFFER : ADVERTISE, start + timeout))) return -1;
  if (whole) {
    uint8_t offered[4], server[4];
    const uint8_t *identifier = option4(length, 54);
    if (!identifier) return -1;
    memcpy(offered, got + ETH + 28 + 16, 4), memcpy(server, identifier, 4);
    put(dhcp4(REQUEST, xid, offered, server));
    if (!await(kind, xid, ACK, start + timeout)) return -1;
  }
  return now() - start;
}

static void flood(double seconds, const char *router, int costly) {
  uint8_t target[16];
  if (inet_pton(AF_INET6, router, target) != 1) fprintf(stderr, "no address: %s\n", router), exit(1);
  int64_t end = now() + (int64_t)(seconds * 1e9), start;
  long sent = 0;
  while (costly && now() < end) {
    put(costly4());
    put(costly6());
    sent += 2;
  }
  while (now() < end) {
    put(dhcp4(DISCOVER, rand(), NULL, NULL));
    put(solicit(rand()));
    put(neighbour(133, NULL));
    put(neighbour(135, target));
    put(garbage());
    sent += 5;
  }
  /* As clients do, the honest one tries again: what is still queued may have filled the socket. */
  for (start = now(); now() < start + 30000000000LL;)
    if (ask('d', 0, 100000000) >= 0) {
      printf("%ld %ld\n", sent, (long)(now() - start));
      return;
    }
  printf("%ld -1\n", sent);
}

int main(int count, char **words) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  unsigned m[6];
  if (count != 3 || sscanf(words[2], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
    return fprintf(stderr, "usage: prober TAP MAC\n"), 2;
  for (int i = 0; i < 6; i++) mac[i] = m[i];
  const uint8_t own[16] = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  memcpy(link_local, own, 16);
  strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
  tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) || ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM))
    return perror(words[1]), 1;
  srand(now());
  puts("plugged"), fflush(stdout);
  char kind[16], manner[16], line[128], router[64];
  while (fgets(line, sizeof line, stdin)) {
    double seconds;
    long number, gap, timeout;
    int costly;
    if (sscanf(line, "flood %lf %63s %d", &seconds, router, &costly) == 3) {
      flood(seconds, router, costly);
    } else if (sscanf(line, "%15s %15s %ld %ld %ld", kind, manner, &number, &gap, &timeout) == 5) {
      way = manner[0];
      for (long i = 0; i < number; i++) {
        printf("%ld ", (long)ask(kind[0], !strcmp(kind, "dora"), timeout * 1000000));
        if (gap) usleep(gap);
      }
      puts("");
    }
    fflush(stdout);
  }
  return 0;
}

/* Addresses of a subnet, and of interfaces. Those of the newer family differ in their last 32 bits only. */
#include "bridge.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct interface_address *address) { return address->family == AF_INET ? 4 : 16; }
static const unsigned char *data_of(const struct interface_address *address) { return (const unsigned char *)&address->v4; }

bool parse_address(const char *text, struct interface_address *address) {
  char copy[64];
  size_t length = strcspn(text, "/");
  if (length >= sizeof copy) return false;
  memcpy(copy, text, length);
  copy[length] = 0;
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, copy, &address->v4) == 1) address->family = AF_INET;
  else if (inet_pton(AF_INET6, copy, &address->v6) == 1) address->family = AF_INET6;
  else return false;
  unsigned most = (unsigned)bytes_of(address) * 8;
  address->prefix = most;
  if (text[length] == 0) return true;
  char *end;
  unsigned long prefix = strtoul(text + length + 1, &end, 10);
  if (*end != 0 || text[length + 1] == 0 || prefix > most) return false;
  address->prefix = (unsigned)prefix;
  return true;
}

void format_address(const struct interface_address *address, bool prefix, char text[64]) {
  if (inet_ntop(address->family, &address->v4, text, 48) == NULL) text[0] = 0;
  if (prefix) snprintf(text + strlen(text), 8, "/%u", address->prefix);
}

bool parse_mac(const char *text, unsigned char mac[6]) {
  if (strlen(text) != MAC_TEXT - 1 || strspn(text, "0123456789abcdef:") != MAC_TEXT - 1) return false;
  if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) return false;
  /* The first bit that goes over the wire is set in addresses of groups; and all zeros is nobody's. */
  static const unsigned char nobody[6];
  return (mac[0] & 1) == 0 && memcmp(mac, nobody, sizeof nobody) != 0;
}

void format_mac(const unsigned char mac[6], char text[MAC_TEXT]) {
  snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

bool same_address(const struct interface_address *one, const struct interface_address *other) {
  return one->family != 0 && one->family == other->family && memcmp(data_of(one), data_of(other), bytes_of(one)) == 0;
}

bool in_subnet(const struct subnet *subnet, const struct interface_address *address) {
  if (subnet->base.family == 0 || subnet->base.family != address->family) return false;
  unsigned bits = subnet->base.prefix;
  const unsigned char *one = data_of(&subnet->base), *other = data_of(address);
  for (unsigned at = 0; at < bits; at++)
    if (((one[at / 8] ^ other[at / 8]) >> (7 - at % 8) & 1) != 0) return false;
  return true;
}

static uint32_t last_word(const struct interface_address *address) {
  uint32_t word;
  memcpy(&word, data_of(address) + bytes_of(address) - 4, 4);
  return ntohl(word);
}

static void set_last_word(struct interface_address *address, uint32_t word) {
  word = htonl(word);
  memcpy((unsigned char *)&address->v4 + bytes_of(address) - 4, &word, 4);
}

/* How many addresses begin with the same `prefix` bits and are told apart by their last word alone, less one. */
static uint32_t last_host(const struct interface_address *base) {
  unsigned free_bits = (unsigned)bytes_of(base) * 8 - base->prefix;
  return free_bits >= 32 ? ~0u : (1u << free_bits) - 1;
}

bool usable_address(const struct subnet *subnet, const struct interface_address *address) {
  if (!in_subnet(subnet, address) || same_address(address, &subnet->gateway)) return false;
  uint32_t host = last_word(address) & last_host(&subnet->base), last = last_host(&subnet->base);
  /* Of two addresses both are hosts' (RFC 3021); of more, the first is the network's and the older family's last is everybody's. */
  if (last <= 1) return true;
  return host != 0 && (subnet->base.family != AF_INET || host != last);
}

bool free_address(const struct subnet *subnet, bool (*taken)(const struct interface_address *address), struct interface_address *found) {
  const struct interface_address *range = subnet->range.family == 0 ? &subnet->base : &subnet->range;
  uint32_t first = last_word(range) & ~last_host(range), last = last_host(range);
  *found = *range;
  for (uint32_t host = 0;; host++) {
    set_last_word(found, first + host);
    if (usable_address(subnet, found) && !taken(found)) return true;
    if (host == last) return false;
  }
}

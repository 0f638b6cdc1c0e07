/* Questions come from containers and are hostile: every read is bounded by the message, every write by the room for the answer. */
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TTL = 600 /* docker's, seconds */, MOST_FOUND = 64, SHORT_ID = 12, RESPONSE = 0x8000, TRUNCATED = 0x0200, RECURSION_WANTED = 0x0100, RECURSION_OFFERED = 0x0080, IN = 1 };

static uint16_t get16(const unsigned char *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static void set16(unsigned char *at, uint16_t value) { at[0] = (unsigned char)(value >> 8), at[1] = (unsigned char)value; }

/* The labels at `at` as text. Gives where they end, 0 when they are malformed. A question's name is not compressed: nothing is before it. */
static size_t read_name(const unsigned char *message, size_t length, size_t at, char name[DNS_NAME]) {
  size_t used = 0;
  bool plain = true;
  for (;;) {
    if (at >= length) return 0;
    size_t label = message[at++];
    if (label == 0) break;
    if (label > 63 || label > length - at || used + label + 1 > DNS_NAME - 1) return 0;
    if (used > 0) name[used++] = '.';
    for (size_t index = 0; index < label; index++) {
      unsigned char byte = message[at + index];
      /* A dot within a label would be taken for one between two. */
      plain &= byte > ' ' && byte < 127 && byte != '.';
      name[used++] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
    }
    at += label;
  }
  name[plain ? used : 0] = 0;
  return at;
}

enum dns_verdict read_question(const unsigned char *message, size_t length, struct dns_question *question, enum dns_code *code) {
  *question = (struct dns_question){.room = DNS_UDP};
  *code = DNS_FORMAT_ERROR;
  /* To answer an answer would begin a conversation of two servers without end. */
  if (length < DNS_HEADER || (message[2] & 0x80) != 0) return DNS_IS_NOTHING;
  question->id = get16(message);
  question->flags = get16(message + 2);
  question->end = DNS_HEADER;
  if ((question->flags >> 11 & 15) != 0) {
    *code = DNS_NOT_IMPLEMENTED;
    return DNS_IS_WRONG;
  }
  if (get16(message + 4) != 1) return DNS_IS_WRONG;
  size_t at = read_name(message, length, DNS_HEADER, question->name);
  if (at == 0 || length - at < 4) return DNS_IS_WRONG;
  question->type = get16(message + at);
  question->class = get16(message + at + 2);
  question->end = at + 4;
  /* An OPT record (RFC 6891) right behind it says how large a datagram may be. */
  at += 4;
  if (get16(message + 6) == 0 && get16(message + 8) == 0 && get16(message + 10) > 0 && length - at >= 11 && message[at] == 0 && get16(message + at + 1) == DNS_OPT) {
    question->extended = true;
    size_t room = get16(message + at + 3);
    question->room = room < DNS_UDP ? DNS_UDP : room > DNS_UDP_MOST ? DNS_UDP_MOST : room;
  }
  return DNS_ASKS;
}

/* ---- what is known ---- */

struct found {
  struct interface_address addresses[MOST_FOUND];
  size_t count;
  bool known;
};

static void add_address_text(struct found *found, const char *text) {
  struct interface_address address;
  if (found->count == MOST_FOUND || !parse_address(text, &address)) return;
  for (size_t at = 0; at < found->count; at++)
    if (same_address(&found->addresses[at], &address)) return;
  found->addresses[found->count++] = address;
}

/* Whether a name is that of a member, or begins with it and goes on with the network's. */
static bool is_called(const char *asked, const char *name, const char *network) {
  size_t length = strlen(name);
  if (length == 0 || strncasecmp(asked, name, length) != 0) return false;
  return asked[length] == 0 || (asked[length] == '.' && network != NULL && strcasecmp(asked + length + 1, network) == 0);
}

static bool is_id(const char *asked, const char *id, const char *network) {
  size_t length = strcspn(asked, ".");
  if (length < SHORT_ID || length > strlen(id) || strncasecmp(asked, id, length) != 0) return false;
  return asked[length] == 0 || (network != NULL && strcasecmp(asked + length + 1, network) == 0);
}

/*
 * Goes through the lines of the tables: `self ID HOSTNAME`, `network NAME OUTSIDE`, `at ID NAME IP IP6 ALIAS…`. `asked` NULL looks for who
 * has an address, and writes `name.network` to `owner`.
 */
static void look_up(const char *text, const char *asked, const struct interface_address *address, struct found *found, char owner[DNS_NAME]) {
  char *copy = format_text("%s", text), *rest = copy, *self = NULL, *hostname = NULL, *network = NULL;
  for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
    char *kind = strsep(&line, " ");
    if (line == NULL) continue;
    if (strcmp(kind, "self") == 0) self = strsep(&line, " "), hostname = line;
    if (strcmp(kind, "network") == 0) network = strsep(&line, " ");
    if (strcmp(kind, "at") != 0) continue;
    char *id = strsep(&line, " "), *name = strsep(&line, " "), *v4 = strsep(&line, " "), *v6 = strsep(&line, " ");
    if (v6 == NULL) continue;
    if (asked == NULL) {
      struct interface_address one;
      if ((parse_address(v4, &one) && same_address(&one, address)) || (parse_address(v6, &one) && same_address(&one, address))) {
        snprintf(owner, DNS_NAME, "%s.%s", name, network == NULL ? "" : network);
        found->known = true;
        break;
      }
      continue;
    }
    bool matches = is_called(asked, name, network) || is_id(asked, id, network);
    /* By its own host name a container knows itself alone. */
    matches |= hostname != NULL && self != NULL && strcmp(self, id) == 0 && is_called(asked, hostname, network);
    for (char *alias; !matches && (alias = strsep(&line, " ")) != NULL;) matches = is_called(asked, alias, network);
    if (!matches) continue;
    found->known = true;
    add_address_text(found, v4);
    add_address_text(found, v6);
  }
  free(copy);
}

bool has_outside(const char *tables) {
  for (const char *line = tables; line != NULL && *line != 0; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1) {
    size_t length = strcspn(line, "\n");
    if (strncmp(line, "network ", 8) == 0 && length > 2 && line[length - 1] == '1' && line[length - 2] == ' ') return true;
  }
  return false;
}

/* The address of a name beneath in-addr.arpa or ip6.arpa. */
static bool reversed(const char *name, struct interface_address *address) {
  unsigned bytes[4];
  int end = 0;
  memset(address, 0, sizeof *address);
  if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &bytes[3], &bytes[2], &bytes[1], &bytes[0], &end) == 4 && end > 0 && name[end] == 0) {
    unsigned char *to = (unsigned char *)&address->v4;
    for (size_t at = 0; at < 4; at++) {
      if (bytes[at] > 255) return false;
      to[at] = (unsigned char)bytes[at];
    }
    address->family = AF_INET;
    return true;
  }
  if (strlen(name) != 64 + 8 || strcmp(name + 64, "ip6.arpa") != 0) return false;
  for (size_t at = 0; at < 32; at++) {
    static const char digits[] = "0123456789abcdef";
    const char *digit = memchr(digits, name[at * 2], 16);
    if (digit == NULL || name[at * 2 + 1] != '.') return false;
    size_t nibble = 31 - at;
    address->v6.s6_addr[nibble / 2] |= (unsigned char)((size_t)(digit - digits) << (nibble % 2 == 0 ? 4 : 0));
  }
  address->family = AF_INET6;
  return true;
}

/* ---- answers ---- */

struct answer {
  unsigned char *out;
  size_t length, room;
  uint16_t count;
  bool full;
};

static void begin_answer(struct answer *answer, const unsigned char *message, const struct dns_question *question, unsigned char *out, size_t room) {
  *answer = (struct answer){.out = out, .length = question->end, .room = room};
  memcpy(out, message, question->end);
  set16(out + 2, (uint16_t)(RESPONSE | RECURSION_OFFERED | (question->flags & RECURSION_WANTED)));
  set16(out + 4, question->end > DNS_HEADER ? 1 : 0);
  memset(out + 6, 0, 6);
}

/* Its name is the question's, to which the first byte behind the header belongs. */
static void put_record(struct answer *answer, uint16_t type, const void *data, size_t length) {
  static const unsigned char ttl[4] = {0, 0, TTL >> 8, TTL & 255};
  if (answer->full || answer->room - answer->length < 12 + length) {
    answer->full = true;
    return;
  }
  unsigned char *at = answer->out + answer->length;
  set16(at, 0xc000 | DNS_HEADER);
  set16(at + 2, type);
  set16(at + 4, IN);
  memcpy(at + 6, ttl, 4);
  set16(at + 10, (uint16_t)length);
  memcpy(at + 12, data, length);
  answer->length += 12 + length;
  answer->count++;
}

static size_t end_answer(struct answer *answer, const struct dns_question *question) {
  set16(answer->out + 6, answer->count);
  if (answer->full) set16(answer->out + 2, get16(answer->out + 2) | TRUNCATED);
  if (!question->extended || answer->room - answer->length < 11) return answer->length;
  unsigned char *at = answer->out + answer->length;
  memset(at, 0, 11);
  set16(at + 1, DNS_OPT);
  set16(at + 3, DNS_UDP_MOST);
  set16(answer->out + 10, 1);
  return answer->length + 11;
}

size_t answer_code(const unsigned char *message, size_t length, const struct dns_question *question, enum dns_code code, unsigned char *out) {
  struct answer answer;
  if (question->end > length) return 0;
  begin_answer(&answer, message, question, out, question->end);
  out[3] |= (unsigned char)code;
  return answer.length;
}

/* A name as labels; 0 when it cannot be one. */
static size_t write_name(const char *name, unsigned char out[DNS_NAME]) {
  size_t used = 0;
  for (const char *at = name; *at != 0;) {
    size_t label = strcspn(at, ".");
    if (label == 0 || label > 63 || used + label + 2 > DNS_NAME) return 0;
    out[used++] = (unsigned char)label;
    memcpy(out + used, at, label);
    used += label;
    at += label + (at[label] == '.');
  }
  out[used++] = 0;
  return used;
}

static size_t answer_address(struct dns_tables *tables, const unsigned char *message, const struct dns_question *question, size_t room, unsigned char *out) {
  struct interface_address address;
  struct found found = {0};
  struct answer answer;
  char owner[DNS_NAME] = "";
  unsigned char name[DNS_NAME];
  if (!reversed(question->name, &address)) return 0;
  look_up(tables->text, NULL, &address, &found, owner);
  size_t length = found.known ? write_name(owner, name) : 0;
  if (length == 0) return 0;
  begin_answer(&answer, message, question, out, room);
  put_record(&answer, DNS_PTR, name, length);
  return end_answer(&answer, question);
}

size_t answer_question(struct dns_tables *tables, const unsigned char *message, const struct dns_question *question, size_t room, unsigned char *out) {
  struct found found = {0};
  struct answer answer;
  if (question->class != IN || question->name[0] == 0 || room < question->end) return 0;
  if (question->type == DNS_PTR) return answer_address(tables, message, question, room, out);
  look_up(tables->text, question->name, NULL, &found, NULL);
  if (!found.known) return 0;
  begin_answer(&answer, message, question, out, room);
  unsigned first = tables->turn++;
  for (size_t at = 0; at < found.count; at++) {
    const struct interface_address *address = &found.addresses[(at + first) % found.count];
    bool v4 = address->family == AF_INET;
    if (question->type != DNS_ANY && question->type != (v4 ? DNS_A : DNS_AAAA)) continue;
    put_record(&answer, v4 ? DNS_A : DNS_AAAA, &address->v4, v4 ? 4 : 16);
  }
  return end_answer(&answer, question);
}

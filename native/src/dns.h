/* Messages of the domain name system (RFC 1035), and what is known of a container's networks. */
#ifndef TSBUILD_DNS_H
#define TSBUILD_DNS_H

#include "bridge.h"

enum { DNS_NAME = 256, DNS_MESSAGE = 65535, DNS_UDP = 512, DNS_UDP_MOST = 4096, DNS_HEADER = 12 };
enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_code { DNS_NO_ERROR, DNS_FORMAT_ERROR, DNS_SERVER_FAILURE, DNS_NO_NAME, DNS_NOT_IMPLEMENTED, DNS_REFUSED };

/* A question, taken from a message. */
struct dns_question {
  uint16_t id, flags, type, class;
  char name[DNS_NAME]; /* lower case, without the last dot; empty for a name that no container can have */
  size_t end;          /* where the question ends in the message */
  bool extended;       /* with an OPT record */
  size_t room;         /* what a datagram of the answer may have */
};
/* What to do with a message: answer it, with the code if that is not 0, or nothing at all. */
enum dns_verdict { DNS_ASKS, DNS_IS_WRONG, DNS_IS_NOTHING };
enum dns_verdict read_question(const unsigned char *message, size_t length, struct dns_question *question, enum dns_code *code);

/* The tables of all networks that the container is in, as lines (member.c). */
struct dns_tables {
  const char *text;
  unsigned turn; /* of those that have the same name, another is first each time */
};
/*
 * Writes the answer to a question that is about containers, at most `room` bytes. 0 when it is not about them. `message` is what the
 * question was taken from.
 */
size_t answer_question(struct dns_tables *tables, const unsigned char *message, const struct dns_question *question, size_t room, unsigned char *out);
/* An answer that is nothing but a code. */
size_t answer_code(const unsigned char *message, size_t length, const struct dns_question *question, enum dns_code code, unsigned char *out);
/* Whether one of the networks has an outside. */
bool has_outside(const char *tables);

#endif

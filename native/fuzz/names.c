/* Questions about names against hostile messages and tables (dns.c): what is written is an answer to that question, and within its room. */
#include "../src/dns.h"
#include "harness.h"

#include <string.h>

struct talk {
  char *tables;
  const uint8_t *message;
  size_t length;
};

static unsigned get16(const unsigned char *at) { return (unsigned)at[0] << 8 | at[1]; }

/* Walks an answer as a resolver would. */
static void read_answer(const struct talk *talk, const struct dns_question *question, const unsigned char *answer, size_t length) {
  must(length >= DNS_HEADER && length >= question->end, "an answer has its question");
  must(memcmp(answer, talk->message, 2) == 0 && (answer[2] & 0x80) != 0, "it is an answer to that question");
  must(memcmp(answer + DNS_HEADER, talk->message + DNS_HEADER, question->end - DNS_HEADER) == 0, "the question is as it was asked");
  size_t at = question->end;
  for (unsigned left = get16(answer + 6) + get16(answer + 10); left > 0; left--) {
    bool extended = length - at >= 11 && answer[at] == 0;
    size_t head = extended ? 11 : 12;
    must(length - at >= head, "a record is whole");
    size_t data = get16(answer + at + head - 2);
    must(length - at - head >= data, "what a record has is whole");
    at += head + data;
  }
  must(at == length, "nothing is behind the last record");
}

static void ask(void *argument) {
  const struct talk *talk = argument;
  static unsigned char out[DNS_MESSAGE];
  struct dns_question question;
  enum dns_code code;
  struct dns_tables tables = {.text = talk->tables};
  enum dns_verdict verdict = read_question(talk->message, talk->length, &question, &code);
  (void)has_outside(talk->tables);
  if (verdict == DNS_IS_NOTHING) return;
  must(question.end <= talk->length && question.room >= DNS_UDP && question.room <= DNS_UDP_MOST, "a question is within its message");
  size_t length = answer_code(talk->message, talk->length, &question, code, out);
  read_answer(talk, &question, out, length);
  if (verdict != DNS_ASKS) return;
  const size_t rooms[] = {question.room, DNS_MESSAGE, question.end, question.end + 20};
  for (size_t at = 0; at < sizeof rooms / sizeof *rooms; at++) {
    length = answer_question(&tables, talk->message, &question, rooms[at], out);
    must(length <= rooms[at], "an answer has its room");
    if (length > 0) read_answer(talk, &question, out, length);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  struct talk talk = {.tables = next_text(&input)};
  /* No byte more than there is. */
  unsigned char *message = allocate(input.left + 1);
  memcpy(message, input.data, input.left);
  talk.message = message;
  talk.length = input.left;
  survives(ask, &talk);
  clean_slate();
  return 0;
}

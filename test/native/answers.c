/*
 * Answers questions about names as the name server of a container does, for tests. Reads again and again: four bytes of length and tables, two
 * bytes of length and a message. Writes two bytes of length and the answer, none for what is not answered, a code alone for other names.
 */
#include "../../native/src/dns.h"

#include <string.h>
#include <unistd.h>

int main(void) {
  static unsigned char message[DNS_MESSAGE], answer[DNS_MESSAGE];
  unsigned char size[4];
  while (read_exactly(0, size, 4)) {
    size_t length = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3], got = 0;
    char *text = allocate(length + 1);
    if (length > 0) read_exactly(0, text, length);
    read_exactly(0, size, 2);
    length = (size_t)size[0] << 8 | size[1];
    if (length > 0) read_exactly(0, message, length);
    /* No byte more than there is, so that a read behind the end is seen. */
    unsigned char *exact = allocate(length + 1);
    memcpy(exact, message, length);
    struct dns_question question;
    enum dns_code code;
    struct dns_tables tables = {.text = text};
    enum dns_verdict verdict = read_question(exact, length, &question, &code);
    if (verdict == DNS_ASKS) got = answer_question(&tables, exact, &question, question.room, answer);
    if (verdict != DNS_IS_NOTHING && got == 0) got = answer_code(exact, length, &question, verdict == DNS_ASKS ? DNS_NO_NAME : code, answer);
    size[0] = (unsigned char)(got >> 8), size[1] = (unsigned char)got;
    write_fd(1, size, 2);
    write_fd(1, answer, got);
  }
  return 0;
}

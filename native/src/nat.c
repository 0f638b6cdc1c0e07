/* Translation of addresses, asked of nf_tables without `nft`. The numbers are those of linux/netfilter/nfnetlink.h and nf_tables.h. */
#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NETLINK_NETFILTER_ = 12, SUBSYSTEM = 10 << 8, BATCH_BEGIN = 16, BATCH_END = 17, NEWTABLE = 0, NEWCHAIN = 3, NEWRULE = 6 };
enum { TABLE_NAME = 1, CHAIN_TABLE = 1, CHAIN_NAME = 3, CHAIN_HOOK = 4, CHAIN_TYPE = 7, HOOK_NUMBER = 1, HOOK_PRIORITY = 2 };
enum { RULE_TABLE = 1, RULE_CHAIN = 2, RULE_EXPRESSIONS = 4, LIST_ELEMENT = 1, EXPRESSION_NAME = 1, EXPRESSION_DATA = 2, NESTED = 0x8000 };
enum { META_DREG = 1, META_KEY = 2, META_OIFNAME = 7, CMP_SREG = 1, CMP_OP = 2, CMP_DATA = 3, CMP_NEQ = 1, DATA_VALUE = 1, REGISTER_1 = 1 };
enum { POSTROUTING = 4, SOURCE_PRIORITY = 100, NF_INET_ = 1, NF_IPV4_ = 2, INTERFACE_NAME = 16 };

struct netfilter_header {
  uint8_t family, version;
  uint16_t resource;
};

static void put_text(struct message *message, uint16_t type, const char *text) { put_attribute(message, type, text, strlen(text) + 1); }
static void put_number(struct message *message, uint16_t type, uint32_t number) {
  number = htonl(number);
  put_attribute(message, type, &number, sizeof number);
}

static size_t begin_kind(struct message *message, uint16_t kind, uint16_t flags, uint8_t family) {
  struct netfilter_header header = {.family = family};
  return begin_message(message, SUBSYSTEM | kind, flags, 1, &header, sizeof header);
}

static void put_batch(struct message *message, uint16_t type) {
  struct netfilter_header header = {.resource = htons(10)};
  end_message(message, begin_message(message, type, 0, 0, &header, sizeof header));
}

static size_t begin_expression(struct message *message, const char *name, size_t *data) {
  size_t element = begin_nest(message, LIST_ELEMENT | NESTED);
  put_text(message, EXPRESSION_NAME, name);
  *data = begin_nest(message, EXPRESSION_DATA | NESTED);
  return element;
}

static void end_expression(struct message *message, size_t element, size_t data) {
  end_nest(message, data);
  end_nest(message, element);
}

/* `oifname != INTERFACE masquerade` */
static void put_rule(struct message *message, const char *interface) {
  size_t expressions = begin_nest(message, RULE_EXPRESSIONS | NESTED), data, element = begin_expression(message, "meta", &data);
  char name[INTERFACE_NAME] = {0};
  memcpy(name, interface, strnlen(interface, sizeof name - 1));
  put_number(message, META_DREG, REGISTER_1);
  put_number(message, META_KEY, META_OIFNAME);
  end_expression(message, element, data);
  element = begin_expression(message, "cmp", &data);
  put_number(message, CMP_SREG, REGISTER_1);
  put_number(message, CMP_OP, CMP_NEQ);
  size_t value = begin_nest(message, CMP_DATA | NESTED);
  put_attribute(message, DATA_VALUE, name, sizeof name);
  end_nest(message, value);
  end_expression(message, element, data);
  element = begin_expression(message, "masq", &data);
  end_expression(message, element, data);
  end_nest(message, expressions);
}

int masquerade(int net, const char *interface, bool v6) {
  struct message message = {0};
  uint8_t family = v6 ? NF_INET_ : NF_IPV4_;
  int netlink = socket_in(net, 16 /* AF_NETLINK */, SOCK_RAW, NETLINK_NETFILTER_);
  if (netlink < 0) return EPROTONOSUPPORT;
  put_batch(&message, BATCH_BEGIN);
  size_t begin = begin_kind(&message, NEWTABLE, NLM_CREATE | NLM_ACK, family);
  put_text(&message, TABLE_NAME, "tsbuild");
  end_message(&message, begin);
  begin = begin_kind(&message, NEWCHAIN, NLM_CREATE | NLM_ACK, family);
  put_text(&message, CHAIN_TABLE, "tsbuild");
  put_text(&message, CHAIN_NAME, "out");
  size_t hook = begin_nest(&message, CHAIN_HOOK | NESTED);
  put_number(&message, HOOK_NUMBER, POSTROUTING);
  put_number(&message, HOOK_PRIORITY, SOURCE_PRIORITY);
  end_nest(&message, hook);
  put_text(&message, CHAIN_TYPE, "nat");
  end_message(&message, begin);
  begin = begin_kind(&message, NEWRULE, NLM_CREATE | NLM_APPEND | NLM_ACK, family);
  put_text(&message, RULE_TABLE, "tsbuild");
  put_text(&message, RULE_CHAIN, "out");
  put_rule(&message, interface);
  end_message(&message, begin);
  put_batch(&message, BATCH_END);
  int refused = transact(netlink, &message, 3);
  close(netlink);
  return refused;
}

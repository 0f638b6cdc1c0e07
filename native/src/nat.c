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
enum { META_L4PROTO = 16, CMP_EQ = 0, REGISTER_2 = 2, PAYLOAD_DREG = 1, PAYLOAD_BASE = 2, PAYLOAD_OFFSET = 3, PAYLOAD_LENGTH = 4 };
enum { IMMEDIATE_DREG = 1, IMMEDIATE_DATA = 2, NAT_TYPE = 1, NAT_FAMILY = 2, NAT_ADDRESS = 3, NAT_PORT = 5, NAT_DESTINATION = 1 };
enum { NETWORK_HEADER = 1, TRANSPORT_HEADER = 2, IP_DESTINATION = 16, PORT_DESTINATION = 2, LOCAL_OUT = 3, DESTINATION_PRIORITY = -100 };
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

static void put_value(struct message *message, uint16_t type, const void *data, size_t length) {
  size_t value = begin_nest(message, type | NESTED);
  put_attribute(message, DATA_VALUE, data, length);
  end_nest(message, value);
}

/* What a packet must have, in the register that it was read to. */
static void put_compare(struct message *message, uint32_t operation, const void *data, size_t length) {
  size_t inner, element = begin_expression(message, "cmp", &inner);
  put_number(message, CMP_SREG, REGISTER_1);
  put_number(message, CMP_OP, operation);
  put_value(message, CMP_DATA, data, length);
  end_expression(message, element, inner);
}

static void put_meta(struct message *message, uint32_t key) {
  size_t inner, element = begin_expression(message, "meta", &inner);
  put_number(message, META_DREG, REGISTER_1);
  put_number(message, META_KEY, key);
  end_expression(message, element, inner);
}

static void put_payload(struct message *message, uint32_t header, uint32_t offset, uint32_t length) {
  size_t inner, element = begin_expression(message, "payload", &inner);
  put_number(message, PAYLOAD_DREG, REGISTER_1);
  put_number(message, PAYLOAD_BASE, header);
  put_number(message, PAYLOAD_OFFSET, offset);
  put_number(message, PAYLOAD_LENGTH, length);
  end_expression(message, element, inner);
}

static void put_immediate(struct message *message, uint32_t to, const void *data, size_t length) {
  size_t inner, element = begin_expression(message, "immediate", &inner);
  put_number(message, IMMEDIATE_DREG, to);
  put_value(message, IMMEDIATE_DATA, data, length);
  end_expression(message, element, inner);
}

/* `oifname != INTERFACE masquerade` */
static void put_masquerade(struct message *message, const char *interface) {
  size_t expressions = begin_nest(message, RULE_EXPRESSIONS | NESTED), inner;
  char name[INTERFACE_NAME] = {0};
  memcpy(name, interface, strnlen(interface, sizeof name - 1));
  put_meta(message, META_OIFNAME);
  put_compare(message, CMP_NEQ, name, sizeof name);
  size_t element = begin_expression(message, "masq", &inner);
  end_expression(message, element, inner);
  end_nest(message, expressions);
}

/* `meta l4proto PROTOCOL ip daddr ADDRESS th dport FROM dnat to ADDRESS:TO` */
static void put_redirect(struct message *message, const struct redirect *redirect) {
  size_t expressions = begin_nest(message, RULE_EXPRESSIONS | NESTED), inner;
  uint16_t from = htons(redirect->from), to = htons(redirect->to);
  put_meta(message, META_L4PROTO);
  put_compare(message, CMP_EQ, &redirect->protocol, sizeof redirect->protocol);
  put_payload(message, NETWORK_HEADER, IP_DESTINATION, sizeof redirect->address);
  put_compare(message, CMP_EQ, &redirect->address, sizeof redirect->address);
  put_payload(message, TRANSPORT_HEADER, PORT_DESTINATION, sizeof from);
  put_compare(message, CMP_EQ, &from, sizeof from);
  put_immediate(message, REGISTER_1, &redirect->address, sizeof redirect->address);
  put_immediate(message, REGISTER_2, &to, sizeof to);
  size_t element = begin_expression(message, "nat", &inner);
  put_number(message, NAT_TYPE, NAT_DESTINATION);
  put_number(message, NAT_FAMILY, NF_IPV4_);
  put_number(message, NAT_ADDRESS, REGISTER_1);
  put_number(message, NAT_PORT, REGISTER_2);
  end_expression(message, element, inner);
  end_nest(message, expressions);
}

static void begin_table(struct message *message, uint8_t family) {
  put_batch(message, BATCH_BEGIN);
  size_t begin = begin_kind(message, NEWTABLE, NLM_CREATE | NLM_ACK, family);
  put_text(message, TABLE_NAME, "tsbuild");
  end_message(message, begin);
}

static void put_chain(struct message *message, uint8_t family, const char *name, uint32_t hook_number, int priority) {
  size_t begin = begin_kind(message, NEWCHAIN, NLM_CREATE | NLM_ACK, family);
  put_text(message, CHAIN_TABLE, "tsbuild");
  put_text(message, CHAIN_NAME, name);
  size_t hook = begin_nest(message, CHAIN_HOOK | NESTED);
  put_number(message, HOOK_NUMBER, hook_number);
  put_number(message, HOOK_PRIORITY, (uint32_t)priority);
  end_nest(message, hook);
  put_text(message, CHAIN_TYPE, "nat");
  end_message(message, begin);
}

static size_t begin_rule(struct message *message, uint8_t family, const char *chain) {
  size_t begin = begin_kind(message, NEWRULE, NLM_CREATE | NLM_APPEND | NLM_ACK, family);
  put_text(message, RULE_TABLE, "tsbuild");
  put_text(message, RULE_CHAIN, chain);
  return begin;
}

/* @param wanted acknowledgements, one for each part. 0 or an errno. */
static int ask(int net, struct message *message, int wanted) {
  int netlink = socket_in(net, 16 /* AF_NETLINK */, SOCK_RAW, NETLINK_NETFILTER_);
  if (netlink < 0) return EPROTONOSUPPORT;
  put_batch(message, BATCH_END);
  int refused = transact(netlink, message, wanted);
  close(netlink);
  return refused;
}

int masquerade(int net, const char *interface, bool v6) {
  struct message message = {0};
  uint8_t family = v6 ? NF_INET_ : NF_IPV4_;
  begin_table(&message, family);
  put_chain(&message, family, "out", POSTROUTING, SOURCE_PRIORITY);
  size_t begin = begin_rule(&message, family, "out");
  put_masquerade(&message, interface);
  end_message(&message, begin);
  return ask(net, &message, 3);
}

int redirect_own(int net, const struct redirect *redirects, size_t count) {
  struct message message = {0};
  begin_table(&message, NF_IPV4_);
  put_chain(&message, NF_IPV4_, "own", LOCAL_OUT, DESTINATION_PRIORITY);
  for (size_t at = 0; at < count; at++) {
    size_t begin = begin_rule(&message, NF_IPV4_, "own");
    put_redirect(&message, &redirects[at]);
    end_message(&message, begin);
  }
  return ask(net, &message, 2 + (int)count);
}

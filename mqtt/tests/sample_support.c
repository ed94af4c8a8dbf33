#include "mqtt/tests/sample_support.h"

#define C MQTT_CLIENT
#define S MQTT_SERVER

/* A list with each property that the packet may have. */
#define CONNECT_PROPS                                                                              \
    "(11 0000000A 15 <scram> 16 {00FF} 17 00 19 01 21 0014 22 0005 27 00001000 26 <k> <v> 26 <k> " \
    "<>)"
#define WILL_PROPS \
    "(01 01 02 0000003C 03 <text/plain> 08 <reply/to> 09 {0102} 18 00000005 26 <a> <b>)"
#define CONNACK_PROPS                                                                           \
    "(11 FFFFFFFF 12 <auto-1> 13 003C 15 <scram> 16 {} 1A <resp> 1C <other:1883> 1F <fine> 21 " \
    "FFFF "                                                                                     \
    "22 000A 24 01 25 00 27 00000001 28 00 29 01 2A 00 26 <k> <v>)"
#define PUBLISH_PROPS "01 01 02 FFFFFFFF 03 <json> 08 <reply/to> 09 {00} "

const struct sample samples[] = {
    {"connect-min", 3, C, "10 (<MQIsdp> 03 02 003C <a>)"},
    {"connect-full", 3, C, "10 (<MQIsdp> 03 EE 003C <c-31> <w/t> {'gone'} | <user> | <pass>)"},
    {"connack", 3, S, "20 (00 00)"},
    {"connack-refused", 3, S, "20 (00 05)"},
    {"publish-qos0", 3, C, "30 (<a/b> ~ 'payload')"},
    {"publish-qos1", 3, S, "33 (<a/b> 1234 ~ 'payload')"},
    {"puback", 3, C, "40 (1234)"},
    {"pubrec", 3, S, "50 (FFFF)"},
    {"pubrel", 3, C, "62 (0001)"},
    {"pubcomp", 3, S, "70 (0001)"},
    {"subscribe", 3, C, "82 (0001 <a/+> 00 | <#> 02)"},
    {"suback", 3, S, "90 (0001 00 ~ 01 02)"},
    {"unsubscribe", 3, C, "A2 (0001 <a/+> | <#>)"},
    {"unsuback", 3, S, "B0 (0001)"},
    {"pingreq", 3, C, "C0 ()"},
    {"pingresp", 3, S, "D0 ()"},
    {"disconnect", 3, C, "E0 ()"},

    {"connect-min", 4, C, "10 (<MQTT> 04 02 0000 <>)"},
    {"connect-full", 4, C, "10 (<MQTT> 04 EE FFFF <c-311> <w/t> {'gone'} <user> {00 FF})"},
    {"connect-will", 4, C, "10 (<MQTT> 04 34 000A <a-client-with-a-long-identifier> <w> {})"},
    {"connack", 4, S, "20 (01 00)"},
    {"connack-refused", 4, S, "20 (00 02)"},
    {"publish-qos0", 4, C, "31 (<a/b> ~ 'payload')"},
    {"publish-qos1", 4, C, "3A (<a/b> 1234 ~ 'payload')"},
    {"publish-qos2", 4, S, "3D (<a/b> 0001 ~)"},
    {"puback", 4, S, "40 (1234)"},
    {"pubrec", 4, C, "50 (FFFF)"},
    {"pubrel", 4, S, "62 (0001)"},
    {"pubcomp", 4, C, "70 (0001)"},
    {"subscribe", 4, C, "82 (0001 <a/+> 00 | <#> 01 | <$share/g/x> 02)"},
    {"suback", 4, S, "90 (0001 00 ~ 01 02 80)"},
    {"unsubscribe", 4, C, "A2 (0001 <a/+> | <#>)"},
    {"unsuback", 4, S, "B0 (0001)"},
    {"pingreq", 4, C, "C0 ()"},
    {"pingresp", 4, S, "D0 ()"},
    {"disconnect", 4, C, "E0 ()"},

    {"connect-min", 5, C, "10 (<MQTT> 05 00 0000 () <>)"},
    {"connect-full", 5, C,
     "10 (<MQTT> 05 EE 003C " CONNECT_PROPS " <c-5> " WILL_PROPS " <w/t> {'gone' 00} <user> {FF})"},
    {"connect-password", 5, C, "10 (<MQTT> 05 42 003C () <c> {'token'})"},
    {"connack", 5, S, "20 (01 00 ())"},
    {"connack-full", 5, S, "20 (00 00 " CONNACK_PROPS ")"},
    {"connack-refused", 5, S, "20 (00 9D (1C <other>))"},
    {"publish-qos0", 5, C, "30 (<a/b> () ~ 'payload')"},
    {"publish-full", 5, C, "3B (<a/b> 1234 (" PUBLISH_PROPS "23 0001 26 <k> <v>) ~ 'payload')"},
    {"publish-alias", 5, C, "34 (<> 0001 (23 FFFF) ~)"},
    {"publish-server", 5, S,
     "35 (<a/b> FFFF (" PUBLISH_PROPS "0B 01 23 0001 0B FFFFFF7F 26 <k> <v> 0B 01) ~ 'payload')"},
    {"puback", 5, C, "40 (1234)"},
    {"puback-reason", 5, S, "40 (1234 | 10)"},
    {"puback-full", 5, S, "40 (1234 | 87 | (1F <no> 26 <k> <v>))"},
    {"pubrec", 5, S, "50 (1234)"},
    {"pubrec-full", 5, C, "50 (1234 | 97 | (1F <no> 26 <k> <v>))"},
    {"pubrel", 5, C, "62 (1234)"},
    {"pubrel-full", 5, S, "62 (1234 | 92 | (1F <no> 26 <k> <v>))"},
    {"pubcomp", 5, S, "70 (1234)"},
    {"pubcomp-full", 5, C, "70 (1234 | 92 | (1F <no> 26 <k> <v>))"},
    {"subscribe", 5, C, "82 (0001 () <a/+> 2E | <#> 01)"},
    {"subscribe-full", 5, C, "82 (0001 (0B 8001 26 <k> <v>) <$share/g/x> 18 | <y> 02)"},
    {"suback", 5, S, "90 (0001 () 00 ~ 01 02 80 8F)"},
    {"suback-full", 5, S, "90 (0001 (1F <no> 26 <k> <v>) 87)"},
    {"unsubscribe", 5, C, "A2 (0001 () <a/+> | <#>)"},
    {"unsubscribe-full", 5, C, "A2 (0001 (26 <k> <v>) <a>)"},
    {"unsuback", 5, S, "B0 (0001 () 00 ~ 11 87)"},
    {"unsuback-full", 5, S, "B0 (0001 (1F <no> 26 <k> <v>) 11)"},
    {"pingreq", 5, C, "C0 ()"},
    {"pingresp", 5, S, "D0 ()"},
    {"disconnect", 5, C, "E0 ()"},
    {"disconnect-will", 5, C, "E0 (| 04)"},
    {"disconnect-full", 5, C, "E0 (| 04 | (11 00000000 1F <bye> 26 <k> <v>))"},
    {"disconnect-server", 5, S, "E0 (| 9C | (1C <other> 1F <moved> 26 <k> <v>))"},
    {"auth-none", 5, S, "F0 ()"},
    {"auth", 5, C, "F0 (18 (15 <scram>))"},
    {"auth-full", 5, S, "F0 (| 00 (15 <scram> 16 {00} 1F <ok> 26 <k> <v>))"},
};

const size_t n_samples = sizeof samples / sizeof samples[0];

int sample_version(const struct sample *s)
{
    return strncmp(s->text, "10 ", 3) == 0 ? 0 : s->version;
}

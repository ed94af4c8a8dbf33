#include "daemon/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool address_valid(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    return inet_pton(AF_INET, address, &v4) == 1 || inet_pton(AF_INET6, address, &v6) == 1;
}

bool address_is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

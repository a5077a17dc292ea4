/* libyubikey's own decoding of a file of passwords, over and over: prints passwords per second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yubikey.h>

#define MOST 100000

static char passwords[MOST][YUBIKEY_OTP_SIZE + 1];

int main(int argc, char **argv) {
    uint8_t key[YUBIKEY_KEY_SIZE];
    size_t count = 0;
    unsigned long good = 0, rounds;
    struct timespec from, to;
    FILE *file;
    if (argc != 4) return 2;
    yubikey_hex_decode((char *)key, argv[1], sizeof key);
    rounds = strtoul(argv[3], NULL, 10);
    file = fopen(argv[2], "r");
    if (!file) return 2;
    while (count < MOST && fscanf(file, "%32s", passwords[count]) == 1) count++;
    fclose(file);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned long round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) {
            yubikey_token_st token;
            yubikey_parse((const uint8_t *)passwords[i], key, &token);
            good += yubikey_crc_ok_p((const uint8_t *)&token);
        }
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (good != rounds * count) return 1;
    printf("%.0f\n", (double)good / ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9));
    return 0;
}

/* Asks several servers through Yubico's C library. Its own command-line program cannot: of several
   --url options it uses the last.

   ykclient_several CLIENT APIKEY OTP URL...   prints the library's code and its meaning, exits 0 */

#include <stdio.h>
#include <stdlib.h>
#include <ykclient.h>

static int check(ykclient_rc code, const char *what)
{
    if (code != YKCLIENT_OK)
        fprintf(stderr, "%s: %s\n", what, ykclient_strerror(code));
    return code == YKCLIENT_OK;
}

int main(int count, char **arguments)
{
    ykclient_t *client;

    if (count < 5)
        return EXIT_FAILURE;
    if (!check(ykclient_global_init(), "global_init") || !check(ykclient_init(&client), "init"))
        return EXIT_FAILURE;
    if (!check(ykclient_set_client_b64(client, (unsigned)atoi(arguments[1]), arguments[2]), "set_client")
        || !check(ykclient_set_url_bases(client, (size_t)count - 4, (const char **)arguments + 4), "set_url_bases"))
        return EXIT_FAILURE;
    ykclient_set_verify_signature(client, 1);
    ykclient_rc code = ykclient_request(client, arguments[3]);
    printf("%d %s\n", code, ykclient_strerror(code));
    ykclient_done(&client);
    ykclient_global_done();
    return EXIT_SUCCESS;
}

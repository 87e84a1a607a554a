/* Two Rust archives in one program: a panic in the other one is caught there, before and after this
 * library was used. */
#include <opamp.h>
#include <stdio.h>

int other_caught(void);

int main(void) {
  opamp_client *client = NULL;
  opamp_error *error = NULL;
  if (other_caught() != 1) return 1;
  if (opamp_client_new("http://127.0.0.1:9/v1/opamp", &client, NULL) != OPAMP_OK) return 2;
  opamp_client_unref(client);
  if (opamp_client_new("nonsense", &client, &error) == OPAMP_OK || error == NULL) return 3;
  opamp_error_free(error);
  if (other_caught() != 1) return 4;
  return printf("%s\n", opamp_version()) > 0 ? 0 : 5;
}

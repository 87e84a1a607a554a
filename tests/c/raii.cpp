// The header in C++ as C++ programs use it: unique_ptr with deleters, lambdas without capture as callbacks, enumerators in masks and
// switches, no exception across the boundary. [SYNC-18]
#include "kit.h"

#include <memory>
#include <string>

namespace {

template <typename T, void (*Free)(T *)>
struct Deleter {
  void operator()(T *object) const { Free(object); }
};
using Client = std::unique_ptr<opamp_client, Deleter<opamp_client, opamp_client_unref>>;
using Agent = std::unique_ptr<opamp_agent, Deleter<opamp_agent, opamp_agent_free>>;
using Attributes = std::unique_ptr<opamp_attributes, Deleter<opamp_attributes, opamp_attributes_free>>;
using ConfigMap = std::unique_ptr<opamp_config_map, Deleter<opamp_config_map, opamp_config_map_unref>>;
using Error = std::unique_ptr<opamp_error, Deleter<opamp_error, opamp_error_free>>;

struct Host {
  kit_flag offers = KIT_FLAG;
  ConfigMap kept;
};

std::string text(opamp_slice slice) { return std::string(reinterpret_cast<const char *>(slice.data), slice.len); }

Client make_client() {
  opamp_client *client = nullptr;
  opamp_error *err = nullptr;
  OK(opamp_client_new(kit_endpoint(), &client, &err));
  CHECK(!Error(err));
  kit_patient(client);
  if (const char *ca = std::getenv("OPAMP_TEST_CA")) OK(opamp_client_set_ca_file(client, ca, nullptr));
  opamp_attributes *who = nullptr;
  OK(opamp_attributes_new(&who));
  Attributes owned(who);
  OK(opamp_attributes_set_string(who, "service.name", std::string("raii").c_str(), nullptr));
  OK(opamp_client_set_description(client, who, nullptr, nullptr));
  std::uint64_t capabilities = OPAMP_CAPABILITY_REPORTS_STATUS;
  capabilities |= OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG;
  OK(opamp_client_set_capabilities(client, capabilities, nullptr));
  return Client(client);
}

Agent make_agent(const Client &client, std::unique_ptr<Host> &host) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  callbacks.on_message = [](opamp_agent *, opamp_client *its_client, const opamp_message *message, void *user) {
    auto *h = static_cast<Host *>(user);
    opamp_slice hash;
    if (const opamp_config_map *offer = opamp_message_remote_config(message, &hash)) {
      h->kept.reset(opamp_config_map_ref(offer));
      OK(opamp_client_set_remote_config_status(its_client, hash.data, hash.len, OPAMP_REMOTE_CONFIG_APPLIED, nullptr, 0, nullptr));
      kit_add(&h->offers, 1);
    }
  };
  opamp_agent *agent = nullptr;
  OK(opamp_agent_new(client.get(), &callbacks, host.get(), [](void *user) { delete static_cast<Host *>(user); }, &agent, nullptr));
  host.release();  // from here on the agent's
  return Agent(agent);
}

}  // namespace

int main() {
  kit_post("config", "{\"files\": [{\"name\": \"main.yaml\", \"content_type\": \"text/yaml\", \"body\": \"a: 1\"}]}");
  Client client = make_client();
  std::unique_ptr<Host> host(new Host);
  Host *seen = host.get();
  Agent agent = make_agent(client, host);
  client.reset();  // the agent has its own reference
  kit_start(agent.get());
  kit_until(&seen->offers, 1);
  kit_wait("status%3DAPPLIED:offered");
  ConfigMap kept(opamp_config_map_ref(seen->kept.get()));
  agent.reset();  // stops, frees, deletes the host
  opamp_slice type, body;
  OK(opamp_config_map_get(kept.get(), "main.yaml", 9, &type, &body));
  CHECK(text(type) == "text/yaml" && text(body) == "a: 1");
  switch (static_cast<opamp_status_code>(opamp_config_map_get(kept.get(), "x", 1, nullptr, nullptr))) {
    case OPAMP_E_NOT_FOUND:
      return 0;
    default:
      return 1;
  }
}

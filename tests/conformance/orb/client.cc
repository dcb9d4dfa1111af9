// An independent client of orbcore.idl, in C++: each line it prints is a fact, checked by the test.

#include <cstring>
#include <iostream>

#include "orbcore.hh"

static OrbCore::Spec spec(const char* id, CORBA::ULong revision, bool critical, const char* key) {
  static const char text[] = "{\"colour\": \"gr\xc3\xbcn\"}";
  OrbCore::Spec made;
  made.id = CORBA::string_dup(id);
  made.revision = revision;
  made.critical = critical;
  made.payload.length(sizeof(text) - 1);
  std::memcpy(made.payload.get_buffer(), text, sizeof(text) - 1);
  made.key = CORBA::string_dup(key);
  return made;
}

int main(int argc, char** argv) {
  CORBA::ORB_var orb = CORBA::ORB_init(argc, argv);
  CORBA::Object_var first = orb->string_to_object(argv[1]);
  OrbCore::WidgetFactory_var known = OrbCore::WidgetFactory::_unchecked_narrow(first);
  OrbCore::WidgetFactory_var factory = known->published();
  std::cout << "published " << (CORBA::is_nil(factory) ? "nil" : "reference") << "\n";

  OrbCore::View_var made = factory->create(spec("cpp-1", 1, true, "k1"));
  OrbCore::View_var again = factory->create(spec("cpp-1", 1, true, "k1"));
  std::cout << "same " << (std::strcmp(made->native_id, again->native_id) == 0) << "\n";
  std::cout << "octets " << made->payload.length() << "\n";

  factory->update(spec("cpp-1", 2, true, "k2"));
  OrbCore::View_var seen = factory->get("cpp-1");
  std::cout << "got " << seen->revision << " " << seen->critical << "\n";
  try {
    factory->update(spec("cpp-1", 1, true, "k3"));
  } catch (const OrbCore::StaleRevision& stale) {
    std::cout << "stale " << stale.current << "\n";
  }
  try {
    factory->create(spec("", 1, false, "k4"));
  } catch (const OrbCore::InvalidWidget&) {
    std::cout << "invalid\n";
  }
  OrbCore::Briefs_var page = factory->list("", 10);
  std::cout << "listed " << page->length() << "\n";

  OrbCore::Octets data;
  data.length(4096);
  for (CORBA::ULong i = 0; i < data.length(); ++i) data[i] = i % 251;
  OrbCore::Octets_var back = factory->echo(data);
  std::cout << "echo " << (back->length() == 4096 && std::memcmp(back->get_buffer(), data.get_buffer(), 4096) == 0)
            << "\n";
  factory->notify("topic", data);

  factory->remove("cpp-1", "k5");
  factory->remove("cpp-1", "k5");
  try {
    factory->get("cpp-1");
  } catch (const OrbCore::WidgetNotFound&) {
    std::cout << "gone\n";
  }
  OrbCore::Usage_var usage = factory->memory();
  std::cout << "balance " << usage->allocations - usage->deallocations - usage->live_objects << "\n";
  orb->destroy();
  return 0;
}

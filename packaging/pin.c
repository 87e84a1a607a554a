/* Part of libopamp.a: keeps the plugin that embeds it mapped after dlclose, since a thread that
 * once called in runs destructors of the archive when it ends. The shared library needs none of
 * this: it is linked nodelete. In a program there is nothing to do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

static const char *own_name;

static int is_own(struct dl_phdr_info *object, size_t size, void *here) {
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    uintptr_t begin = (uintptr_t)object->dlpi_addr + (uintptr_t)part->p_vaddr;
    if (part->p_type != PT_LOAD || (uintptr_t)here - begin >= part->p_memsz) continue;
    own_name = object->dlpi_name;
    return 1;
  }
  return 0;
}

/* Named, not called: a static program would be linked with a warning that it calls dlopen. */
__attribute__((constructor)) static void pin(void) {
  void *found;
  void *(*open)(const char *, int);
  (void)dl_iterate_phdr(is_own, (void *)(uintptr_t)&pin);
  if (own_name == NULL || own_name[0] == '\0') return; /* the program itself */
  found = dlsym(RTLD_DEFAULT, "dlopen");
  if (found == NULL) return;
  *(void **)&open = found;
  (void)open(own_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

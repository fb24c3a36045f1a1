#include "input/expression.h"

#include <string.h>

static void scope_put(struct scope *scope, struct binding binding)
{
    for (uint32_t i = 0; i < scope->bindings.count; i++)
        if (strcmp(scope->bindings.at[i].name, binding.name) == 0) {
            scope->bindings.at[i] = binding;
            return;
        }
    VECTOR_PUSH(&scope->bindings, binding);
}

void scope_bind(struct scope *scope, const char *name, struct quantity quantity)
{
    scope_put(scope, (struct binding){.name = name, .quantity = quantity});
}

void scope_bind_text(struct scope *scope, const char *name, const char *text)
{
    scope_put(scope, (struct binding){.name = name, .text = text});
}

void scope_bind_list(struct scope *scope, const char *name, const double *list, uint32_t count)
{
    scope_put(scope, (struct binding){.name = name, .list = list, .count = count});
}

void scope_fini(struct scope *scope)
{
    VECTOR_FREE(&scope->bindings);
    scope->outer = NULL;
}

const struct binding *scope_find(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->outer)
        for (uint32_t i = 0; i < scope->bindings.count; i++)
            if (strcmp(scope->bindings.at[i].name, name) == 0)
                return &scope->bindings.at[i];
    return NULL;
}

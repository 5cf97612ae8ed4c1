#include "model.h"

const struct scenario scenarios[] = {{NULL, NULL}};
const size_t scenario_count = 0;

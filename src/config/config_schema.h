/* The tables of the sections that belong to no other module. */
#pragma once

#include "config/config.h"

extern const Schema config_schema;
/* Root of a file that scrape_config_files names; its object is a SchemaList of ScrapeConfig. */
extern const Schema config_scrape_file_schema;

/* What librdb needs to hand out every key and element of a file, with nothing done to them: a
 * rival of scripts/bench, which builds it beside the library. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "librdb-api.h"
#include "librdb-ext-api.h"

typedef struct {
    uint64_t keys;
    uint64_t elements;
} Counts;

static RdbRes key(RdbParser *parser, void *counts, RdbBulk name, RdbKeyInfo *info) {
    (void)parser, (void)name, (void)info;
    ((Counts *)counts)->keys++;
    return RDB_OK;
}

static RdbRes element(RdbParser *parser, void *counts, RdbBulk text) {
    (void)parser, (void)text;
    ((Counts *)counts)->elements++;
    return RDB_OK;
}

static RdbRes field(RdbParser *parser, void *counts, RdbBulk name, RdbBulk value, int64_t expiry) {
    (void)expiry, (void)value;
    return element(parser, counts, name);
}

static RdbRes member(RdbParser *parser, void *counts, RdbBulk name, double score) {
    (void)score;
    return element(parser, counts, name);
}

static RdbRes item(RdbParser *parser, void *counts, RdbStreamID *id, RdbBulk name, RdbBulk value,
                   int64_t left) {
    (void)id, (void)value, (void)left;
    return element(parser, counts, name);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: librdb-walk FILE\n");
        return 2;
    }
    Counts counts = {0, 0};
    RdbHandlersDataCallbacks callbacks = {
        .handleNewKey = key,
        .handleStringValue = element,
        .handleListItem = element,
        .handleHashField = field,
        .handleSetMember = element,
        .handleZsetMember = member,
        .handleStreamItem = item,
    };
    RdbParser *parser = RDB_createParserRdb(NULL);
    RDB_setLogLevel(parser, RDB_LOG_ERR);
    if (!RDBX_createReaderFile(parser, argv[1]) ||
        !RDB_createHandlersData(parser, &callbacks, &counts, NULL) ||
        RDB_parse(parser) != RDB_STATUS_OK) {
        fprintf(stderr, "librdb-walk: %s: %s\n", argv[1], RDB_getErrorMessage(parser));
        return 1;
    }
    RDB_deleteParser(parser);
    printf("%" PRIu64 " keys, %" PRIu64 " elements\n", counts.keys, counts.elements);
    return 0;
}

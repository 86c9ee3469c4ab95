// Many entries of a map in few system calls, and one by one where the map type has no batches.
#ifndef PODWIRE_NATIVE_MAP_BATCH_H_
#define PODWIRE_NATIVE_MAP_BATCH_H_

#include <cstdint>
#include <vector>

namespace podwire {

struct MapShape {
  int fd;
  uint32_t type;
  uint32_t key_size;
  uint32_t value_size;
  uint32_t max_entries;
};

struct BatchResult {
  int error = 0;  // -errno, 0: all done
  const char* syscall = "";
  uint32_t done = 0;  // entries written or deleted, also when an error came after them
};

struct MapEntries {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  uint32_t count = 0;
};

BatchResult UpdateBatch(const MapShape& map, const uint8_t* keys, const uint8_t* values,
                        uint32_t count, uint64_t flags);

// Keys that do not exist are passed over.
BatchResult DeleteBatch(const MapShape& map, const uint8_t* keys, uint32_t count);

// Every entry that was there during the whole call, once.  Entries that come or go meanwhile may or
// may not be in it.
BatchResult Dump(const MapShape& map, MapEntries* entries);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_MAP_BATCH_H_

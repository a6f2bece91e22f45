#include <algorithm>
#include <filesystem>

#include "allocation.h"
#include "base/error.h"
#include "check.h"
#include "model_bytes.h"

namespace {

using sdgen::ErrorCode;
using sdgen::NamedTensor;
using sdgen::WeightStore;
using sdgen_test::Bytes;
using sdgen_test::file_of;
using sdgen_test::open_bytes;
using sdgen_test::small_model;
using sdgen_test::with_length;

/// The header must be refused with that code, and a message that names the file and contains `phrase`.
void refused(const Bytes& bytes, ErrorCode code, const std::string& phrase) {
  std::string what;
  CHECK_THROWS(open_bytes(bytes), code, what);
  CHECK_MSG(what.find(phrase) != std::string::npos, "message was: " << what);
  CHECK_MSG(what.starts_with("m.safetensors: "), "message was: " << what);
  CHECK_MSG(what.find('\n') == std::string::npos && what.size() < 700, "message was: " << what);
}
void bad_tensor(const std::string& description, size_t data_bytes, const std::string& phrase) {
  refused(file_of("{\"w\":" + description + "}", data_bytes), ErrorCode::kModelFormat, phrase);
}

}  // namespace

TEST(safetensors_hostile_fixtures) {
  const struct {
    const char* name;
    ErrorCode code;
    const char* phrase;
  } cases[] = {
      {"empty.safetensors", ErrorCode::kModelFormat, "the file is empty; download it again"},
      {"short.safetensors", ErrorCode::kModelFormat, "has only 4 bytes; download it again"},
      {"truncated.safetensors", ErrorCode::kModelFormat, "lies beyond the end of the file"},
      {"truncated-header.safetensors", ErrorCode::kModelFormat, "the file is truncated: download it again"},
      {"random.safetensors", ErrorCode::kModelFormat, "not a safetensors file"},
      {"huge-header.safetensors", ErrorCode::kModelFormat, "claims 4611686018427387904 bytes, more than"},
      {"overlap.safetensors", ErrorCode::kModelFormat, "tensor \"b\" overlaps"},
      {"hole.safetensors", ErrorCode::kModelFormat, "tensor \"b\" leaves a hole of 4 bytes"},
      {"tail.safetensors", ErrorCode::kModelFormat, "after the last tensor come 1 bytes"},
      {"duplicate.safetensors", ErrorCode::kModelFormat, "tensor \"a\" occurs twice"},
      {"overflow.safetensors", ErrorCode::kModelFormat, "product overflows"},
      {"deep.safetensors", ErrorCode::kModelFormat, "nested deeper than 32 levels"},
      {"not-utf8.safetensors", ErrorCode::kModelFormat, "not UTF-8"},
      {"pickle.ckpt", ErrorCode::kModelUnsupported, "convert it to .safetensors with a tool you trust"},
      {"zip.ckpt", ErrorCode::kModelUnsupported, "unpickling can run code"},
      {"zip-named.safetensors", ErrorCode::kModelUnsupported, "unpickling can run code"},
      {"gguf.safetensors", ErrorCode::kModelUnsupported, "GGUF"},
      {"lfs-pointer.safetensors", ErrorCode::kModelFormat, "git lfs pull"},
      {"web-page.safetensors", ErrorCode::kModelFormat, "web page"},
  };
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(sdgen_test::fixture("hostile"))) {
    files += entry.path().extension() != ".md" ? 1 : 0;
  }
  CHECK_MSG(files == std::size(cases), files << " files, " << std::size(cases) << " expectations");
  for (const auto& row : cases) {
    const std::string path = sdgen_test::fixture(std::string("hostile/") + row.name);
    std::string what;
    CHECK_THROWS(sdgen::open_safetensors(path), row.code, what);
    CHECK_MSG(what.starts_with(path + ": ") && what.find(row.phrase) != std::string::npos, row.name << ": " << what);
  }
}

TEST(safetensors_refuses_headers) {
  const auto format = ErrorCode::kModelFormat;
  refused(file_of("[]", 0), format, "not a safetensors file");
  refused(file_of(" {}", 0), format, "not a safetensors file");
  refused(file_of("{", 0), format, "not valid JSON (expected a key in double quotes at byte 1)");
  refused(file_of("{} x", 0), format, "not valid JSON");
  refused(file_of(std::string("{}\0", 3), 0), format, "not valid JSON");
  refused(with_length("{}", 0, 0), format, "not valid JSON");
  refused(with_length("{}", 3, 0), format, "only 2 follow");
  refused(with_length("{}", 100'000'001, 0), format, "more than the 100000000 allowed");
  refused(with_length("{}", ~uint64_t{0}, 0), format, "more than the 100000000 allowed");
  refused(file_of("{\"__metadata__\":[]}", 0), format, "__metadata__ is not an object");
  refused(file_of("{\"__metadata__\":{\"a\":1}}", 0), format, "entry \"a\" is not a text");
  refused(file_of("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0), format, "has \"a\" twice");
  refused(file_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0), format, "__metadata__ twice");
  refused(file_of("{}", 1), format, "after the last tensor come 1 bytes");
  const std::string one = ":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
  refused(file_of("{\"" + std::string(513, 'n') + "\"" + one + "}", 1), format, "name of more than 512 bytes");
  refused(file_of("{\"a\\u001b[2J\"" + one + "}", 1), format, "\"a\\x1b[2J\" has control characters");
  refused(file_of("{\"a\\u009b\"" + one + "}", 1), format, "control characters");
  CHECK(open_bytes(file_of("{\"" + std::string(512, 'n') + "\"" + one + "}  ", 1))->tensors().size() == 1);
}

TEST(safetensors_refuses_tensors) {
  bad_tensor("1", 0, "tensor \"w\" is not described by an object");
  bad_tensor("{}", 0, "lacks dtype, shape or data_offsets");
  bad_tensor(R"({"dtype":"F32","shape":[1]})", 4, "lacks dtype, shape or data_offsets");
  bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0})", 4, "unknown field \"x\"");
  bad_tensor(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})", 4, "field dtype twice");
  bad_tensor(R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})", 4, "dtype that is not a text");
  bad_tensor(R"({"dtype":"F33","shape":[1],"data_offsets":[0,4]})", 4, "unknown dtype \"F33\"");
  bad_tensor(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", 4, "shape that is not an array");
  for (const char* size : {"-1", "1.0", "\"1\"", "null", "[1]", "9223372036854775808", "1e0"}) {
    const std::string start = R"({"dtype":"F32","data_offsets":[0,4],"shape":[)";
    bad_tensor(start + size + "]}", 4, "not an integer from 0");
  }
  bad_tensor(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})", 1, "17 dimensions");
  for (const char* offsets : {"0", "[]", "[0]", "[0,4,4]", "{}"}) {
    bad_tensor(std::string(R"({"dtype":"F32","shape":[1],"data_offsets":)") + offsets + "}", 4, "not two numbers");
  }
  for (const char* offsets : {"[-1,4]", "[0,4.0]", "[\"0\",4]", "[0,18446744073709551616]"}) {
    bad_tensor(std::string(R"({"dtype":"F32","shape":[1],"data_offsets":)") + offsets + "}", 4, "not integers >= 0");
  }
  bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4, "ends before it begins");
  bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,5]})", 4, "beyond the end of the file");
  bad_tensor(R"({"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]})", 1, "beyond the end of the file");
  bad_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4, "needs 8 bytes by its shape and dtype");
  bad_tensor(R"({"dtype":"F32","shape":[0],"data_offsets":[0,4]})", 4, "needs 0 bytes");
  bad_tensor(R"({"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[0,4]})", 4, "overflows");
  bad_tensor(R"({"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]})", 0, "overflows");
  bad_tensor(R"({"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]})", 0, "overflows");
  bad_tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", 8, "hole of 4 bytes before it");
  for (const char* type : {"F4", "F8_E8M0", "C64"}) {
    refused(file_of(std::string(R"({"w":{"dtype":")") + type + R"(","shape":[],"data_offsets":[0,1]}})", 1),
            ErrorCode::kModelUnsupported, "which is not built yet");
  }
}

TEST(safetensors_bounds_the_number_of_tensors) {
  const auto header = [](size_t count) {
    std::string json = "{";
    for (size_t i = 0; i < count; ++i) {
      json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    }
    return file_of(json + "}", 0);
  };
  CHECK(open_bytes(header(100'000))->tensors().size() == 100'000);
  refused(header(100'001), ErrorCode::kModelFormat, "more than the 100000 tensors allowed");
  // Memory is bounded also where the values are no tensors.
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 2'000'000; ++i) many += ",0";
  refused(file_of(many + "]}", 0), ErrorCode::kModelFormat, "more than 2000000 values");
}

TEST(safetensors_header_may_look_like_a_pickle) {
  // A header of 0x280 bytes begins as a pickle of protocol 2 does.
  std::string json = R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  json.resize(0x280, ' ');
  CHECK(open_bytes(file_of(json, 1))->tensors().size() == 1);
}

namespace {

/// Deterministic: a 64-bit linear congruential generator, upper bits.
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  size_t below(size_t bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<size_t>((state_ >> 33) % bound);
  }

 private:
  uint64_t state_;
};

Bytes mutated(Bytes bytes, Draws& draws) {
  static constexpr char kTelling[] = "{}[]\",:0129-eE.\\u\0\xFF ";
  for (size_t edits = 1 + draws.below(4); edits > 0 && !bytes.empty(); --edits) {
    const size_t at = draws.below(bytes.size());
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (draws.below(6)) {
      case 0: bytes[at] = static_cast<unsigned char>(bytes[at] ^ 1U << draws.below(8)); break;
      case 1: bytes[at] = static_cast<unsigned char>(kTelling[draws.below(sizeof kTelling - 1)]); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.insert(place, static_cast<unsigned char>(kTelling[draws.below(sizeof kTelling - 1)])); break;
      case 4: bytes.erase(place); break;
      default: bytes[draws.below(std::min<size_t>(8, bytes.size()))] = static_cast<unsigned char>(draws.below(256));
    }
  }
  return bytes;
}

}  // namespace

TEST(safetensors_mutations_are_refused_or_read_fully) {
  const Bytes original = sdgen::safetensors_bytes(small_model(), {{"format", "pt"}});
  Draws draws(20240607);
  int refusals = 0, accepted = 0;
  size_t largest = 0, total = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = mutated(original, draws);
    const Bytes copy = bytes;
    const sdgen_test::AllocationProbe probe;
    std::shared_ptr<const WeightStore> store;
    try {
      store = sdgen::open_safetensors_bytes(std::move(bytes), "m.safetensors");
      ++accepted;
    } catch (const sdgen::Error& error) {
      ++refusals;
      const bool expected = error.code() == ErrorCode::kModelFormat || error.code() == ErrorCode::kModelUnsupported;
      CHECK_MSG(expected, "round " << round << ": " << sdgen::error_code_name(error.code()) << " " << error.what());
    }
    largest = std::max(largest, probe.largest());
    total = std::max(total, probe.total());
    if (store == nullptr) continue;
    // What was accepted says the same when written from what was read.
    std::vector<NamedTensor> again;
    for (const sdgen::TensorInfo& info : store->tensors()) {
      again.push_back({info.name, info.dtype, info.shape, Bytes(info.bytes)});
      store->read_raw(info, 0, again.back().data.data(), info.bytes);
      CHECK(info.offset + info.bytes <= copy.size());
      if (sdgen::dtype_is_float(info.dtype)) {
        CHECK(sdgen::read_all_f32(*store, info).size() == static_cast<size_t>(info.elements()));
      }
    }
    const auto rewritten = open_bytes(sdgen::safetensors_bytes(again, store->metadata()));
    CHECK(rewritten->metadata() == store->metadata() && rewritten->tensors().size() == store->tensors().size());
    for (const NamedTensor& tensor : again) CHECK(rewritten->find(tensor.name) != nullptr);
  }
  CHECK_MSG(refusals > 10'000 && accepted > 500, refusals << " refused, " << accepted << " accepted");
  CHECK_MSG(largest > 0 && largest <= 8192 && total <= 65536, "largest request " << largest << ", total " << total);
}

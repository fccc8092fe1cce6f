#include "recorder/flight/trigger.h"

#include <charconv>
#include <utility>

namespace kvmtape {
namespace {

constexpr uint64_t kSameCountMax = uint64_t{1} << 40;

Error unusable(std::string_view text, const std::string& why) {
  std::string message = "'";
  message.append(text).append("' ").append(why);
  return Error{ErrorCode::kUsage, std::move(message), {}, std::nullopt};
}

Error no_such_rule(std::string_view rule) {
  return unusable(rule, "is no trigger: crash, same=N/T, slow=T, silent=T or end, T as in 10ms");
}

Result<uint64_t> parse_count(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 2 ||
      count > kSameCountMax)
    return unusable(text, "is no number of exits");
  return count;
}

}  // namespace

Result<uint64_t> parse_duration(std::string_view text) {
  constexpr struct {
    std::string_view name;
    uint64_t ns;
  } kUnits[] = {{"ns", 1},
                {"us", 1'000},
                {"ms", 1'000'000},
                {"s", 1'000'000'000},
                {"m", 60'000'000'000},
                {"h", 3'600'000'000'000}};
  uint64_t count = 0;
  const char* behind = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), behind, count);
  const std::string_view unit(end, static_cast<size_t>(behind - end));
  if (error == std::errc{} && count != 0)
    for (const auto& known : kUnits)
      if (unit == known.name && count <= ~uint64_t{0} / 2 / known.ns) return count * known.ns;
  return unusable(text, "is no time: 500us, 10ms, 2s, 5m, 1h");
}

Result<void> add_trigger(std::string_view rule, Triggers& triggers) {
  const size_t equals = rule.find('=');
  const std::string_view name = rule.substr(0, equals);
  if (equals == std::string_view::npos) {
    if (name != "crash" && name != "end") return no_such_rule(rule);
    (name == "crash" ? triggers.crash : triggers.end) = true;
    return {};
  }
  std::string_view value = rule.substr(equals + 1);
  if (name == "same") {
    const size_t slash = value.find('/');
    if (slash == std::string_view::npos) return no_such_rule(rule);
    KVMTAPE_TRY_ASSIGN(triggers.same_count, parse_count(value.substr(0, slash)));
    KVMTAPE_TRY_ASSIGN(triggers.same_ns, parse_duration(value.substr(slash + 1)));
  } else if (name == "slow") {
    KVMTAPE_TRY_ASSIGN(triggers.slow_ns, parse_duration(value));
  } else if (name == "silent") {
    KVMTAPE_TRY_ASSIGN(triggers.silent_ns, parse_duration(value));
  } else {
    return no_such_rule(rule);
  }
  return {};
}

Result<Triggers> parse_triggers(std::string_view rules) {
  Triggers triggers;
  if (rules.empty()) rules = "crash,end";
  while (!rules.empty()) {
    const size_t comma = rules.find(',');
    KVMTAPE_TRY(add_trigger(rules.substr(0, comma), triggers));
    rules.remove_prefix(comma == std::string_view::npos ? rules.size() : comma + 1);
  }
  return triggers;
}

}  // namespace kvmtape

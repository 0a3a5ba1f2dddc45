/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The brokers that this program was built with. */
#pragma once

#include <memory>

#include "broker_address.hpp"
#include "sink.hpp"

namespace events {

/* The library that is missing, or nullptr. */
const char *missing_library(Broker broker);

/* Of a broker whose library is there. */
std::unique_ptr<Sink> make_broker_sink(const BrokerAddress &address, std::size_t queue_bytes);

}  // namespace events

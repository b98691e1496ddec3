public import ApusCore

/// Centralised: all rows in one place, trained as one client.
///
/// The upper reference point of a comparison: what the data could teach if they might move. It is
/// FedIT with a single client, so one seed gives the same bits; its optimizer starts afresh every
/// `local-epochs` epochs, as FedIT's does every round.
///
/// - State: the trainables.
/// - Traffic: none in a federation's sense; the data themselves were moved.
public struct Centralised: FederatedMethod {
  public static let card = MethodCard(
    name: "Centralised", id: "centralised", family: .reference,
    summary: "all rows in one place; the upper reference point",
    paper: "reference point", leavesClient: "all data", visibility: .nothing)

  public static var takesAnyAdapter: Bool { true }

  public static var localTraining: LocalTraining { FedIT.localTraining }

  public static var poolsData: Bool { true }

  public typealias Options = NoOptions

  private let trained: FedIT

  public init(_ options: NoOptions) {
    var alone = FedIT.Options()
    alone.reportsBias = false
    trained = FedIT(alone)
  }

  public func client(_ setting: ClientSetting) -> any ClientHalf { trained.client(setting) }

  public func server(_ setting: ServerSetting) -> any ServerHalf { trained.server(setting) }
}
